//! What the tables hold of each day: whether it is final, by which run, and how many events it has.
//!
//! All of it is read off the logs: no data file is opened.

use std::collections::BTreeSet;

use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableState};
use lake_model::finalization::{self, DayDecision, DayFacts};
use lake_model::{Day, DaySpan, KafkaPartition, TableVersion};
use lake_tables::batch_runs::BatchRun;
use lake_tables::file_kind::AvgSpeedFile;

use crate::batch_runs::BatchRuns;
use crate::context::Context;

/// A day's final rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FinalDay {
    /// The run that wrote them, if their files name it.
    pub(crate) run_id: Option<String>,
    /// The version of `events` that they were computed from, if statistics name it.
    pub(crate) events_version: Option<TableVersion>,
}

/// The final rows of `day`; `None` while it has no rows, or others too: such a day is recomputed. The speed layer is stricter
/// (`publish::is_final`): it adds nothing to a day with any final file. The two differ only after another tool has changed the
/// day.
pub(crate) fn final_day(avg_speed: &TableState, day: Day) -> Option<FinalDay> {
    let mut found = FinalDay::default();
    let mut files = avg_speed.files_of(day).peekable();
    files.peek()?;
    for file in files {
        if !AvgSpeedFile::is_final(file) {
            return None;
        }
        found.run_id = AvgSpeedFile::run_id(file).or(found.run_id);
        found.events_version = found.events_version.max(events_version_of(file));
    }
    Some(found)
}

/// The version of `events` that a final file's rows were computed from.
pub(crate) fn events_version_of(file: &FileEntry) -> Option<TableVersion> {
    file.bounds("events_version").and_then(|(_, greatest)| greatest.as_i64()).map(TableVersion)
}

/// The Kafka partitions whose events a provisional file may count. A file without that information may count any.
pub(crate) fn partitions_of(file: &FileEntry, all: &[KafkaPartition]) -> Vec<KafkaPartition> {
    if let Some(AvgSpeedFile::Provisional(group)) = AvgSpeedFile::tagged(file) {
        return vec![group.kafka_partition];
    }
    let bounds = file.bounds("kafka_partition");
    let within = |partition: &&KafkaPartition| {
        let value = i64::from(partition.0);
        bounds.as_ref().is_none_or(|(least, greatest)| {
            least.as_i64().is_none_or(|least| least <= value)
                && greatest.as_i64().is_none_or(|greatest| value <= greatest)
        })
    };
    all.iter().filter(within).copied().collect()
}

/// What is known of a day.
#[derive(Clone, Debug)]
pub(crate) struct KnownDay {
    /// What the decision about it is made on.
    pub(crate) facts: DayFacts,
    /// The run that made it final, if it is recorded.
    #[cfg_attr(not(feature = "verify"), expect(dead_code, reason = "only verify asks for it"))]
    pub(crate) run: Option<BatchRun>,
}

impl KnownDay {
    /// What becomes of the day in a run.
    pub(crate) fn decision(&self, context: &Context, force: bool) -> DayDecision {
        finalization::decide(&self.facts, context.now(), context.close_after_us(), force)
    }
}

/// Every day that `events` or `avg_speed` has rows of, in order.
pub(crate) fn known_days(
    context: &Context,
    events: &TableState,
    avg_speed: &TableState,
    runs: &BatchRuns,
) -> Result<Vec<KnownDay>, LakeError> {
    let calendar = context.calendar_at(events)?;
    let files = events.files().chain(avg_speed.files());
    let days: BTreeSet<Day> = files.filter_map(|file| file.partition).collect();
    let spans = days.into_iter().map(|day| calendar.span(day));
    Ok(spans.map(|span| known(context, events, avg_speed, runs, span)).collect())
}

/// What is known of `day`, be it nothing. It costs as much as the day has files and runs, however many days there are.
pub(crate) fn known_day(
    context: &Context,
    events: &TableState,
    avg_speed: &TableState,
    runs: &BatchRuns,
    day: Day,
) -> Result<KnownDay, LakeError> {
    let span = context.calendar_at(events)?.span(day);
    Ok(known(context, events, avg_speed, runs, span))
}

fn known(
    context: &Context,
    events: &TableState,
    avg_speed: &TableState,
    runs: &BatchRuns,
    span: DaySpan,
) -> KnownDay {
    let day = span.day;
    let found = final_day(avg_speed, day);
    let run = found.as_ref().and_then(|found| run_of(runs, found, day));
    let floor = context.app_ids.retention_floor_day(events);
    let facts = DayFacts {
        span,
        event_rows: events.files_of(day).map(|file| file.rows).sum(),
        is_final: found.is_some(),
        last_run_rows: run.and_then(|run| u64::try_from(run.rows_read).ok()),
        dropped: floor.is_some_and(|floor| day < floor),
        computed_from: found.as_ref().and_then(|found| found.events_version),
        quarantine: context.app_ids.quarantined(events, day),
    };
    KnownDay { facts, run: run.cloned() }
}

/// The recorded run that wrote a day's final rows.
fn run_of<'a>(runs: &'a BatchRuns, found: &FinalDay, day: Day) -> Option<&'a BatchRun> {
    match &found.run_id {
        Some(run_id) => runs.find(run_id, day),
        None => runs.of_day(day).last(),
    }
}
