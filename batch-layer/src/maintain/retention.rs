//! Dropping whole days of `events` that are past `maintain.event_retention`.
//!
//! Days go oldest first, and the first one that has to stay ends it: one that is too young, not final, dirty,
//! or still in Kafka, or has a file that can't be read. Their averages stay.
//!
//! # Crash consistency
//! First `offset_gaps` says from which offset on every partition is still accounted for; then one commit
//! removes the files and raises the floor, the first day kept. Between the two, rows that are still there
//! lie below the floor, where the audit passes them over. The floor of a partition is the offset after the
//! last row dropped: late rows of days that are kept may lie below it, and stay.

use std::collections::BTreeMap;
use std::time::Duration;

use lake_delta::log::FileEntry;
use lake_delta::{
    Commit, CommitDecision, Committed, LakeError, TableLog, commit_with, data_file, read,
};
use lake_model::finalization::{DayDecision, DayState};
use lake_model::{Day, KafkaPartition, Offset, OffsetRange, Timestamp};
use lake_tables::offset_gaps::{self, GapReason, OffsetGap};
use lake_tables::{Table, file_kind};

use super::report::MaintainReport;
use crate::batch_runs::BatchRuns;
use crate::context::Context;
use crate::days::{self, KnownDay};
use crate::error::BatchError;
use crate::scan::each_offset;

/// Partition to the offset after the last one.
type NextOffsets = BTreeMap<KafkaPartition, Offset>;

/// Drops the days that may go. `kafka` is what Kafka has of each partition.
pub(super) async fn drop_days(
    context: &Context,
    events: &mut TableLog,
    avg_speed: &TableLog,
    runs: &BatchRuns,
    kafka: &BTreeMap<KafkaPartition, OffsetRange>,
    retention: Duration,
    report: &mut MaintainReport,
) -> Result<(), BatchError> {
    let retention_us = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
    let oldest_kept = context.now().saturating_add(-retention_us);
    let is_dry_run = report.dry_run;
    let dropped = commit_with(events, async |events: &TableLog| {
        let known = days::known_days(context, events.state(), avg_speed.state(), runs)?;
        let candidates = candidates(context, &known, oldest_kept);
        let Some(dropped) = droppable(context, events, &candidates, kafka, report).await? else {
            return Ok(CommitDecision::Nothing(Vec::new()));
        };
        if is_dry_run {
            return Ok(CommitDecision::Nothing(dropped.days));
        }
        raise_floors(context, &dropped.next_offsets).await?;
        Ok::<_, BatchError>(CommitDecision::Commit(removal(context, &dropped), dropped.days))
    });
    report.dropped_days = dropped.await?.value;
    Ok(())
}

/// Days to be dropped at once.
struct Dropped {
    days: Vec<Day>,
    files: Vec<FileEntry>,
    next_offsets: NextOffsets,
}

/// The oldest days with events that are not dropped yet, up to the first that has to stay for its own sake.
fn candidates(context: &Context, known: &[KnownDay], oldest_kept: Timestamp) -> Vec<Day> {
    let with_events = known
        .iter()
        .filter(|day| day.facts.state() != DayState::Frozen && day.facts.event_rows > 0);
    let may_go = |day: &&KnownDay| {
        day.facts.span.end <= oldest_kept && day.decision(context, false) == DayDecision::Clean
    };
    with_events.take_while(may_go).map(|day| day.facts.span.day).collect()
}

/// Those of the candidates, from the first on, whose every offset can be read and Kafka has expired.
async fn droppable(
    context: &Context,
    events: &TableLog,
    candidates: &[Day],
    kafka: &BTreeMap<KafkaPartition, OffsetRange>,
    report: &mut MaintainReport,
) -> Result<Option<Dropped>, BatchError> {
    let mut dropped =
        Dropped { days: Vec::new(), files: Vec::new(), next_offsets: BTreeMap::new() };
    for day in candidates {
        let files: Vec<FileEntry> = events.state().files_of(*day).cloned().collect();
        let read = next_offsets(context, &files).await;
        let Some(next_offsets) = report.leave_at_fault(context, Table::Events, read).await? else {
            break;
        };
        let is_expired = next_offsets.iter().all(|(partition, next)| {
            // Kafka says nothing of a partition that it does not have: then nothing is known.
            kafka.get(partition).is_some_and(|log| *next <= log.first)
        });
        if !is_expired {
            break;
        }
        dropped.days.push(*day);
        dropped.files.extend(files);
        for (partition, next) in next_offsets {
            let held = dropped.next_offsets.entry(partition).or_insert(next);
            *held = next.max(*held);
        }
    }
    Ok((!dropped.days.is_empty()).then_some(dropped))
}

async fn next_offsets(context: &Context, files: &[FileEntry]) -> Result<NextOffsets, LakeError> {
    let mut next = NextOffsets::new();
    let raise = |partition, offset: Offset| {
        let held = next.entry(partition).or_insert(Offset::ZERO);
        *held = offset.next().max(*held);
    };
    let faults = each_offset(&context.lake, Table::Events, files, raise).await?;
    faults.into_iter().next().map_or(Ok(next), Err)
}

/// Notes in `offset_gaps` from where on partitions are accounted for, where that is news.
async fn raise_floors(context: &Context, floors: &NextOffsets) -> Result<(), BatchError> {
    let mut log = context.open(Table::OffsetGaps).await?;
    let raised = commit_with(&mut log, async |log: &TableLog| {
        let gaps = new_floors(context, log, floors).await?;
        if gaps.is_empty() {
            return Ok::<_, LakeError>(CommitDecision::Nothing(()));
        }
        let new = file_kind::unpartitioned(context.lake.unique_id());
        let batch = offset_gaps::batch(&gaps);
        let file = data_file::write(&context.lake, Table::OffsetGaps, new, &batch).await?;
        let commit = Commit::new(&context.lake, "NOTE RETENTION FLOORS").add([file]);
        Ok(CommitDecision::Commit(commit, ()))
    });
    let Committed { value: (), .. } = raised.await?;
    Ok(())
}

/// The floors that are higher than what the table says.
async fn new_floors(
    context: &Context,
    log: &TableLog,
    floors: &NextOffsets,
) -> Result<Vec<OffsetGap>, LakeError> {
    let files = log.state().files();
    let rows = offset_gaps::ranges_and_floors;
    let rows = read::collect(&context.lake, Table::OffsetGaps, files, &[], rows).await?;
    let is_news = |partition: KafkaPartition, floor: Offset| {
        let mut floors = rows.iter().filter(|(_, _, is_floor)| *is_floor);
        !floors.any(|(noted, range, _)| *noted == partition && range.next >= floor)
    };
    let noted_at = context.now();
    let gap = |(partition, floor): (&KafkaPartition, &Offset)| OffsetGap {
        kafka_partition: *partition,
        range: OffsetRange::new(Offset::ZERO, *floor),
        reason: GapReason::Retention,
        noted_at,
    };
    Ok(floors.iter().filter(|(id, floor)| is_news(**id, **floor)).map(gap).collect())
}

/// The commit that drops the days and raises the floor.
fn removal(context: &Context, dropped: &Dropped) -> Commit {
    let last = dropped.days.last().expect("days that are dropped are at least one");
    let floor = i64::from(last.plus(1).days());
    Commit::new(&context.lake, "DROP DAYS")
        .remove(dropped.files.iter().cloned())
        .txns([(context.app_ids.retention_floor(), floor)])
}
