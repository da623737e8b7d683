//! `batch-layer quarantine --file PATH`: takes a data file that can't be used out of `events` or `dead_letters`, and accounts
//! for its offsets.
//!
//! `inspection` reads the file as far as that goes: whether it is sound, and which offsets it holds. Where they can't be read,
//! the log's statistics bound them. `holdings` finds which of them other data files hold. What is left only this file
//! held (`decide`); that becomes rows of `offset_gaps` with the reason `quarantined`, and then the file is taken out of its
//! table. The object is copied to the folder `_quarantine` of the table first, where no reader and no vacuum looks.
//!
//! # Consistency
//! Offsets are noted by compare and swap: those that a gap on that very version covers are noted no more. The file is removed on
//! a version that still names it. What the other files hold does not change meanwhile: compaction keeps rows, and new rows
//! have offsets that no file had before. The one exception is a file that reads well and is quarantined by force while it is
//! compacted; then nothing is removed, the command says so and exits with 1, and the audit names the offsets that are accounted for twice.
//!
//! The commit that removes a file of events says so of its day, with its own version (`AppIds::quarantine`). A final day is
//! dirty while its rows are of an older version of `events`, whatever landed since. Where the file was the day's last, such
//! rows can't be recomputed, and the day is frozen, as if retention had dropped it; that also holds for a day that is made
//! final from the file at the same time.
//!
//! # Crash consistency
//! First `offset_gaps`, then the table. A run that is killed between the two leaves offsets that a gap covers and a file that the
//! log still names: nothing is uncovered, the file is still reported, and the next run finds no offset left to note, and
//! removes the file. In the other order the file would be gone from the log, and with it all knowledge of which offsets
//! have no record any more.

mod gaps;
mod holdings;
mod inspection;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use lake_delta::log::FileEntry;
use lake_delta::{Commit, CommitDecision, LakeError, TableLog, TableState, commit_with};
use lake_model::{KafkaPartition, OffsetRange, TableVersion};
use lake_tables::Table;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use self::holdings::{Candidates, Holdings};
use self::inspection::Inspection;
use crate::context::Context;
use crate::error::BatchError;

pub use self::report::{Kept, QuarantineReport, Refusal};

/// The folder of a table that quarantined objects are copied to.
const FOLDER: &str = "_quarantine";

/// What is to be quarantined.
#[derive(Clone, Debug)]
pub struct QuarantineOptions {
    /// The data file: relative to the lake, as reports name it, or with the lake's address before it.
    pub file: String,
    /// Only report what would be done.
    pub dry_run: bool,
    /// Also a file that reads well, and one whose offsets are in doubt.
    pub force: bool,
}

/// Offsets of each Kafka partition.
pub(crate) type PartitionOffsets = BTreeMap<KafkaPartition, Vec<OffsetRange>>;

/// Quarantines one data file. The report says what was done, or why nothing was.
///
/// # Errors
/// No log names the file, or it is of a table that needs no quarantine; or the store fails.
pub async fn run(
    context: &Context,
    options: &QuarantineOptions,
) -> Result<QuarantineReport, BatchError> {
    let target = Target::find(context, &options.file).await?;
    let inspection = inspection::inspect(context, target.table, &target.file).await?;
    let candidates = Candidates::of(&target.file, &inspection);
    let holdings = holdings::find(context, target.table, &target.file, &candidates).await?;
    let offsets = decide(&candidates, &holdings);
    let mut report = report_of(&target, &inspection, &holdings, offsets, options);
    if options.dry_run || report.refusal.is_some() {
        return Ok(report);
    }
    report.kept = keep(context, &target).await;
    report.noted = gaps::note(context, report.offsets.clone()).await?;
    let Target { table, mut log, file } = target;
    report.removed_in = remove(context, table, &mut log, &file).await?;
    let was_removed = report.removed_in.is_some();
    tracing::warn!(
        file = report.file,
        rows = report.rows,
        was_removed,
        "quarantine of a data file"
    );
    Ok(report)
}

/// The file to be quarantined.
struct Target {
    table: Table,
    log: TableLog,
    file: FileEntry,
}

impl Target {
    async fn find(context: &Context, named: &str) -> Result<Target, BatchError> {
        let named = named.strip_prefix(context.lake.uri()).unwrap_or(named);
        let named = named.trim_start_matches("./").trim_start_matches('/');
        for table in Table::ALL {
            let Some(path) = named.strip_prefix(table.as_str()).and_then(|p| p.strip_prefix('/'))
            else {
                continue;
            };
            let log = context.open(table).await?;
            let Some(file) = log.state().file(path).cloned() else {
                return Err(unknown(named, &log));
            };
            return match (table, file.partition) {
                (Table::Events | Table::DeadLetters, _) => Ok(Target { table, log, file }),
                (_, day) => Err(unneeded(table, day)),
            };
        }
        Err(BatchError::Configuration(format!(
            "--file {named:?}: expected a data file as reports name it, such as \
             events/event_date=2025-04-05/landed-….parquet; `batch-layer audit` names those that can't be used"
        )))
    }

    /// Whether the day has no other file.
    fn is_last(&self) -> bool {
        is_last_of_its_day(self.log.state(), &self.file)
    }
}

fn is_last_of_its_day(state: &TableState, file: &FileEntry) -> bool {
    file.partition.is_some_and(|day| state.files_of(day).all(|other| other.path == file.path))
}

fn unknown(named: &str, log: &TableLog) -> BatchError {
    BatchError::Configuration(format!(
        "--file {named}: table {} names no such file in version {}; it may be quarantined or rewritten already; `batch-layer \
         audit` names the files that can't be used",
        log.table(),
        log.state().version(),
    ))
}

fn unneeded(table: Table, day: Option<lake_model::Day>) -> BatchError {
    let instead = match day {
        Some(day) => {
            format!("`batch-layer nightly --date {day} --force` writes the day anew from events")
        }
        None => "restore the object from a backup, or the table to a version without it".to_owned(),
    };
    BatchError::Configuration(format!(
        "--file: only files of events and dead_letters are quarantined, since nothing else holds their records; for one of \
         {table}, {instead}"
    ))
}

/// The offsets that become gaps: those that the file may hold and that nothing else holds.
fn decide(candidates: &Candidates, holdings: &Holdings) -> PartitionOffsets {
    let only_here = holdings.extents.iter().filter_map(|(partition, extent)| {
        let mut ranges = Vec::new();
        for range in candidates.of_partition(*partition) {
            let (first, next) = (range.first.max(extent.first), range.next.min(extent.next));
            let range = OffsetRange::new(first, next);
            match holdings.held.get(partition) {
                Some(held) => ranges.extend(held.missing_from(range)),
                None if !range.is_empty() => ranges.push(range),
                None => {}
            }
        }
        (!ranges.is_empty()).then_some((*partition, ranges))
    });
    only_here.collect()
}

fn report_of(
    target: &Target,
    inspection: &Inspection,
    holdings: &Holdings,
    offsets: PartitionOffsets,
    options: &QuarantineOptions,
) -> QuarantineReport {
    let count: i64 = offsets.values().flatten().map(OffsetRange::len).sum();
    let refusal = if options.force {
        None
    } else if inspection.problem.is_none() {
        Some(Refusal::Sound)
    } else if inspection.offsets.is_none() && crate::LoggedOffsets::of(&target.file).is_none() {
        Some(Refusal::UnknownOffsets)
    } else if count.unsigned_abs() > target.file.rows {
        Some(Refusal::MoreThanItsRows)
    } else {
        None
    };
    QuarantineReport {
        dry_run: options.dry_run,
        file: format!("{}/{}", target.table, target.file.path),
        table: target.table,
        day: target.file.partition,
        rows: target.file.rows,
        problem: inspection.problem.clone(),
        offsets_are_read: inspection.offsets.is_some(),
        logged: crate::LoggedOffsets::of(&target.file),
        offsets,
        unreadable: holdings.unreadable.clone(),
        is_last_of_day: target.is_last(),
        refusal,
        kept: Kept::NotTried,
        noted: PartitionOffsets::new(),
        removed_in: None,
    }
}

/// Copies the object to where it can be looked at later. That it can't be copied stops nothing.
async fn keep(context: &Context, target: &Target) -> Kept {
    let store = context.lake.table_store(target.table);
    let to = format!("{FOLDER}/{}", target.file.path);
    let copied = match (Path::parse(&target.file.path), Path::parse(&to)) {
        (Ok(from), Ok(to)) => store.copy(&from, &to).await,
        (Err(error), _) | (_, Err(error)) => Err(error.into()),
    };
    match copied {
        Ok(()) => Kept::At(format!("{}/{to}", target.table)),
        Err(object_store::Error::NotFound { .. }) => Kept::Missing,
        Err(error) => {
            tracing::warn!(file = target.file.path, %error, "the object is not copied");
            Kept::NotCopied(error.to_string())
        }
    }
}

/// Takes the file out of its table; returns the version that does it, `None` if another program has taken it out.
async fn remove(
    context: &Context,
    table: Table,
    log: &mut TableLog,
    file: &FileEntry,
) -> Result<Option<TableVersion>, BatchError> {
    let removed = commit_with(log, async |log: &TableLog| {
        if log.state().file(&file.path) != Some(file) {
            return Ok::<_, LakeError>(CommitDecision::Nothing(()));
        }
        let (version, is_last) =
            (log.state().version().next(), is_last_of_its_day(log.state(), file));
        let day = file.partition.filter(|_| table == Table::Events);
        let txns = day.map(|day| context.app_ids.quarantine(day, version, is_last));
        let commit = Commit::new(&context.lake, "QUARANTINE FILE")
            .remove([file.clone()])
            .txns(txns.into_iter().flatten());
        Ok(CommitDecision::Commit(commit, ()))
    });
    Ok(removed.await?.version)
}
