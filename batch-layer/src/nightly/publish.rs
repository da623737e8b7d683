//! Overwriting a day in `avg_speed` with its final rows, in one commit.
//!
//! # Consistency
//! The commit removes the files of the very version that it is made on, and on that version it is decided whether to
//! make it ([`commit_with`]). If another writer is faster, everything is decided again on what it wrote, and the same
//! files are committed. Of two runs that race, one finds the other's final rows: newer ones, or ones from
//! the same events, win. Whoever overwrites final rows records their run first, where that is not done yet, so that
//! `batch_runs` is in the order of the commits.

use std::collections::{BTreeMap, BTreeSet};

use lake_delta::log::FileEntry;
use lake_delta::{Commit, CommitDecision, LakeError, TableLog, TableState, commit_with};
use lake_model::{Day, KafkaPartition, Offset, TableVersion};
use lake_tables::batch_runs::BatchRun;
use lake_tables::file_kind::AvgSpeedFile;
use lake_tables::txn::AppIds;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::compute::ComputedDay;
use super::drift::{Drift, drift};
use super::landing::{describe, missing};
use super::repair::{INFO_KEY, missing_runs};
use crate::batch_runs::BatchRuns;
use crate::context::Context;
use crate::days;

/// What became of a computed day.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Published {
    /// It is final by this run.
    Final(BatchRun),
    /// Another run made it final meanwhile, from the same events or newer ones.
    Superseded(String),
    /// Its provisional rows hold newer offsets by now than the pinned version reaches, or vacuum may have deleted the files
    /// computed: compute it again.
    Behind(String),
    /// It needed no recomputing any more.
    Unneeded,
}

/// What `avg_speed` held of a day when its computation began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Base {
    files: BTreeSet<String>,
    /// The next offsets that its provisional rows reach at most, by Kafka partition.
    offsets: BTreeMap<KafkaPartition, Offset>,
}

impl Base {
    pub(super) fn of(app_ids: &AppIds, avg_speed: &TableState, day: Day) -> Base {
        Base {
            files: avg_speed.files_of(day).map(|file| file.path.clone()).collect(),
            offsets: provisional_offsets(app_ids, avg_speed, avg_speed.files_of(day)),
        }
    }

    /// Whether `events` reaches every offset that the provisional rows hold.
    pub(super) fn is_covered_by(&self, app_ids: &AppIds, events: &TableState) -> bool {
        missing(app_ids, events, &self.to_reach(app_ids, events)).is_empty()
    }

    /// The offsets that `events` has to reach.
    pub(super) fn to_reach(
        &self,
        app_ids: &AppIds,
        events: &TableState,
    ) -> BTreeMap<KafkaPartition, Offset> {
        that_can_land(app_ids, events, self.offsets.clone())
    }
}

/// Why a day is computed again although its events were all read.
const VACUUMED: &str =
    "its files are so old that maintain may have deleted them before they were committed";

/// What the decision to overwrite a day rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    /// The version of `events` that our rows were computed from.
    events_version: TableVersion,
    /// Runs whose final rows came since our computation began, with the versions that they read.
    new_finals: Vec<(String, TableVersion)>,
    /// What provisional rows that came since hold beyond our version.
    uncovered: Option<String>,
    /// Whether vacuum may have deleted our files.
    may_be_vacuumed: bool,
}

#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    Overwrite,
    GiveUp(String),
    Recompute(String),
}

fn decide(facts: &Facts) -> Decision {
    let newer = facts.new_finals.iter().find(|(_, version)| *version >= facts.events_version);
    if let Some((run_id, version)) = newer {
        return Decision::GiveUp(format!("run {run_id} made it final from version {version}"));
    }
    match &facts.uncovered {
        Some(uncovered) => Decision::Recompute(uncovered.clone()),
        None if facts.may_be_vacuumed => Decision::Recompute(VACUUMED.to_owned()),
        None => Decision::Overwrite,
    }
}

/// The tables that publishing writes to.
pub(super) struct Tables<'a> {
    pub(super) avg_speed: &'a mut TableLog,
    pub(super) runs: &'a mut BatchRuns,
}

/// Overwrites the day with the computed rows, unless another run has done as well or newer events are needed.
pub(super) async fn publish(
    context: &Context,
    Tables { avg_speed, runs }: Tables<'_>,
    pinned: &TableState,
    base: &Base,
    computed: ComputedDay,
) -> Result<Published, LakeError> {
    avg_speed.refresh().await?;
    let mut compared: Option<(Vec<FileEntry>, Drift)> = None;
    let published = commit_with(avg_speed, async |avg_speed: &TableLog| {
        let state = avg_speed.state();
        match decide(&facts(context, state, pinned, base, &computed)) {
            Decision::Overwrite => {}
            Decision::GiveUp(winner) => {
                return Ok(CommitDecision::Nothing(Published::Superseded(winner)));
            }
            Decision::Recompute(why) => {
                return Ok(CommitDecision::Nothing(Published::Behind(why)));
            }
        }
        let replaced: Vec<FileEntry> = state.files_of(computed.span.day).cloned().collect();
        if replaced.iter().any(AvgSpeedFile::is_final) {
            runs.refresh().await?;
            let unrecorded = missing_runs(&replaced, runs, avg_speed).await?;
            runs.append(&unrecorded).await?;
        }
        let drift = match compared.take() {
            Some((files, drift)) if files == replaced => drift,
            _ => drift(&context.lake, &computed, &replaced).await?,
        };
        let run = batch_run(context, &computed, drift);
        let commit = overwriting(context, &computed, &replaced, &run);
        compared = Some((replaced, drift));
        Ok::<_, LakeError>(CommitDecision::Commit(commit, Published::Final(run)))
    });
    let published = published.await?.value;
    if !matches!(published, Published::Final(_)) {
        discard(avg_speed, &computed).await;
    }
    Ok(published)
}

/// The commit that replaces files of the day with the computed ones.
fn overwriting(
    context: &Context,
    computed: &ComputedDay,
    replaced: &[FileEntry],
    run: &BatchRun,
) -> Commit {
    let info = serde_json::to_value(run).expect("a row of numbers and text is JSON");
    Commit::new(&context.lake, "MAKE DAY FINAL")
        .add(computed.files.iter().cloned())
        .remove(replaced.iter().cloned())
        .info(INFO_KEY, info)
}

fn facts(
    context: &Context,
    avg_speed: &TableState,
    pinned: &TableState,
    base: &Base,
    computed: &ComputedDay,
) -> Facts {
    let day = computed.span.day;
    let new: Vec<&FileEntry> =
        avg_speed.files_of(day).filter(|file| !base.files.contains(&file.path)).collect();
    let new_finals = new.iter().filter(|file| AvgSpeedFile::is_final(file)).map(|file| {
        let run_id = AvgSpeedFile::run_id(file).unwrap_or_else(|| file.path.clone());
        (run_id, days::events_version_of(file).unwrap_or(TableVersion(i64::MAX)))
    });
    let app_ids = &context.app_ids;
    let offsets = provisional_offsets(app_ids, avg_speed, new.iter().copied());
    let uncovered = missing(app_ids, pinned, &that_can_land(app_ids, pinned, offsets));
    Facts {
        events_version: computed.events_version,
        new_finals: new_finals.collect(),
        uncovered: (!uncovered.is_empty())
            .then(|| format!("its provisional rows are ahead of events: {}", describe(&uncovered))),
        may_be_vacuumed: computed.files.iter().any(|file| avg_speed.may_be_vacuumed(file)),
    }
}

/// The next offset of each partition whose events the provisional ones among `files` count: they hold no
/// later ones, since every commit of a partition's rows carries its next offset.
fn provisional_offsets<'a>(
    app_ids: &AppIds,
    avg_speed: &TableState,
    files: impl Iterator<Item = &'a FileEntry>,
) -> BTreeMap<KafkaPartition, Offset> {
    let known: BTreeMap<KafkaPartition, Offset> =
        app_ids.partitions(avg_speed).into_iter().collect();
    let all: Vec<KafkaPartition> = known.keys().copied().collect();
    let counted = files
        .filter(|file| !AvgSpeedFile::is_final(file))
        .flat_map(|file| days::partitions_of(file, &all));
    counted.filter_map(|partition| Some((partition, *known.get(&partition)?))).collect()
}

/// `offsets` of provisional rows without those of partitions whose averages were there already when a cut of Kafka's log was
/// accepted: what they count beyond `events` was cut off, and the log may never grow that far again.
fn that_can_land(
    app_ids: &AppIds,
    events: &TableState,
    mut offsets: BTreeMap<KafkaPartition, Offset>,
) -> BTreeMap<KafkaPartition, Offset> {
    offsets.retain(|partition, next| {
        let newest = app_ids.accepted_truncations(events, *partition).pop();
        newest.is_none_or(|accepted| *next > accepted.cut.averaged_to)
    });
    offsets
}

fn batch_run(context: &Context, computed: &ComputedDay, drift: Drift) -> BatchRun {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    BatchRun {
        run_id: computed.run_id.clone(),
        event_date: computed.span.day.days(),
        events_version: computed.events_version,
        kafka_offsets: computed.kafka_offsets.clone(),
        rows_read: computed.rows_read.cast_signed(),
        duplicates_dropped: computed.duplicates.cast_signed(),
        late_rows: computed.late_rows.cast_signed(),
        cameras: count(computed.cameras.len()),
        rows_written: count(computed.windows.len()),
        drift_windows: drift.windows.cast_signed(),
        drift_max_kmh: drift.max_kmh,
        started_at: computed.started_at.micros(),
        finished_at: context.now().micros(),
    }
}

/// Deletes files that no log will name. What is left of them is an orphan that `maintain` deletes.
async fn discard(avg_speed: &TableLog, computed: &ComputedDay) {
    let store = avg_speed.lake().table_store(avg_speed.table());
    for file in &computed.files {
        if let Err(error) = store.delete(&Path::from(file.path.as_str())).await {
            tracing::debug!(path = file.path, %error, "the file is left to maintenance");
        }
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    fn facts(new_finals: &[(&str, i64)], uncovered: Option<&str>) -> Facts {
        let finals =
            new_finals.iter().map(|(run, version)| ((*run).to_owned(), TableVersion(*version)));
        Facts {
            events_version: TableVersion(7),
            new_finals: finals.collect(),
            uncovered: uncovered.map(str::to_owned),
            may_be_vacuumed: false,
        }
    }

    #[test]
    fn another_run_wins_with_the_same_events_or_newer_ones_and_loses_with_older_ones() {
        assert!(matches!(decide(&facts(&[("a", 7)], None)), Decision::GiveUp(_)));
        assert!(matches!(decide(&facts(&[("a", 8)], None)), Decision::GiveUp(_)));
        assert_eq!(decide(&facts(&[("a", 6)], None)), Decision::Overwrite);
        assert_eq!(decide(&facts(&[], None)), Decision::Overwrite);
    }

    #[test]
    fn a_day_whose_files_may_be_gone_is_computed_again_unless_another_run_has_won() {
        let gone = |new_finals| Facts { may_be_vacuumed: true, ..facts(new_finals, None) };
        assert_eq!(decide(&gone(&[])), Decision::Recompute(VACUUMED.to_owned()));
        assert!(matches!(decide(&gone(&[("a", 7)])), Decision::GiveUp(_)));
    }

    #[test]
    fn newer_provisional_rows_are_never_overwritten_by_older_events() {
        assert!(matches!(decide(&facts(&[], Some("behind"))), Decision::Recompute(_)));
    }
}
