//! What the help of each command shows as examples.

pub(super) const ALL: &str = "\
Examples:
  batch-layer nightly                          every closed day that is not final, or is dirty
  batch-layer audit                            prove that nothing is lost or counted twice
  batch-layer verify --date 2025-04-05         recompute a final day independently
  batch-layer maintain                         compact, drop, delete, checkpoint
  batch-layer quarantine --file PATH           take out a data file that can't be read
  batch-layer as-of --time 2025-04-06T12:00:00Z  which runs were published then
  batch-layer reproduce --run ID               compute once more what a run published

Exit codes: 0 done, 1 a check failed or a day was left, 2 usage or configuration, 3 an external failure (Kafka, the object store).";

pub(super) const NIGHTLY: &str = "\
Examples:
  batch-layer nightly --config prod.toml
  batch-layer nightly --date yesterday         exits 1 while that day is open, and says when it closes
  batch-layer nightly --dry-run                say what would be done
  batch-layer nightly --date 2025-04-05 --force
                                               recompute a day even if it is clean
  batch-layer nightly --from 2025-04-01 --to 2025-04-05
  batch-layer nightly --wait 2h                wait longer for records to land
  batch-layer nightly --json | jq .left        the days that were left, with the file at fault and the remedy";

pub(super) const AUDIT: &str = "\
Examples:
  batch-layer audit
  batch-layer audit --kafka require            exits 3 where Kafka can't be asked
  batch-layer audit --kafka skip               from the tables alone
  batch-layer audit --json | jq .problems";

pub(super) const VERIFY: &str = "\
Examples:
  batch-layer verify --date 2025-04-05";

pub(super) const MAINTAIN: &str = "\
Examples:
  batch-layer maintain
  batch-layer maintain --dry-run               say what would be done
  batch-layer maintain --time-limit 1h         begin nothing after an hour; exits 1 if that leaves something";

pub(super) const QUARANTINE: &str = "\
Examples:
  batch-layer audit                            names the files that can't be used
  batch-layer quarantine --dry-run --file events/event_date=2025-04-05/landed-0c9e.parquet
                                               say which offsets only that file holds
  batch-layer quarantine --file events/event_date=2025-04-05/landed-0c9e.parquet
  batch-layer nightly                          computes the day without its rows";

pub(super) const REPRODUCE: &str = "\
Examples:
  batch-layer as-of --time 2025-04-06T12:00:00Z --date 2025-04-05
                                               names the run of a day
  batch-layer reproduce --run ID               compare with avg_speed, or with the counts of the run; exits 1 if they differ
  batch-layer reproduce --run ID --out rows    write rows/avg_speed-DATE-ID.parquet for each day of the run";

pub(super) const AS_OF: &str = "\
Examples:
  batch-layer as-of --time 2025-04-06T12:00:00Z
  batch-layer as-of --time 2025-04-06T12:00:00+03:00 --date 2025-04-05 --json | jq -r '.runs[0].run_id'";
