//! Setting a partition's watermark back after a faulty camera clock has carried it away.
//!
//! A reset says: from this offset on, the greatest event time of the partition so far counts as that. It is a part
//! of what lateness depends on, as the partition's log is, so every replay judges by it too. What was late before
//! that offset stays as it is.
//!
//! # Consistency
//! The speed layer may run meanwhile. A reset is asked for in `avg_speed` first: from that commit on nobody who does
//! not know of it can commit averages of the partition, so `avg_speed` stands still there. Then it is applied in
//! `events`, from the further of the two tables' offsets at exactly the version that is committed on: from that
//! commit on nobody who does not know of it can land. Whoever is excluded so is fenced and loads the partition anew,
//! with the reset.
//!
//! # Crash consistency
//! A reset that is asked for and not applied yet is applied by whoever loads the partition next, before anything
//! else, or by the next reset of that partition.

use lake_config::Settings;
use lake_delta::{
    Commit, CommitDecision, Committed, Lake, LakeError, TableLog, TableState, commit_with,
};
use lake_model::{KafkaPartition, Offset, Timestamp};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;
use lake_tables::txn::{AppIds, PartitionProgress, WatermarkReset};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::tables::Tables;

const OPERATION: &str = "RESET WATERMARK";
const INFO: &str = "watermarkReset";

/// What a request to reset a watermark came to.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetOutcome {
    /// The watermark was set back.
    Reset(WatermarkReset),
    /// The partition's greatest event time is no later than the one asked for: nothing was done.
    NotAhead(Timestamp),
    /// The partition has no watermark yet: nothing was done.
    NoWatermark,
}

/// Sets the greatest event time of `partition` back to `to`. It is never set forward.
///
/// # Errors
/// The tables can't be read or committed to. Then the reset may have been made, or is made when the partition is
/// loaded next; asking again does no harm.
pub async fn reset_watermark(
    lake: &Lake,
    settings: &Settings,
    partition: KafkaPartition,
    to: Timestamp,
) -> Result<ResetOutcome, LakeError> {
    // A lake that does not exist is not made for this.
    LakeIdentity::of(settings).open(lake, Table::Events).await?;
    let mut tables = Tables::open(lake, settings).await?;
    let Tables { events, avg_speed, app_ids, .. } = &mut tables;
    let asked = commit_with(avg_speed, async |avg_speed: &TableLog| {
        events.refresh().await?;
        apply_in(events, avg_speed, app_ids, partition).await?;
        ask(events.state(), avg_speed, app_ids, partition, to)
    });
    let number = match asked.await?.value {
        Asked::For(number) => number,
        Asked::NotAhead(from) => return Ok(ResetOutcome::NotAhead(from)),
        Asked::NoWatermark => return Ok(ResetOutcome::NoWatermark),
    };
    apply_requested_reset(&mut tables, partition).await?;
    let resets = tables.app_ids.watermark_resets(tables.events.state(), partition);
    let reset = resets.get(number - 1).expect("it was just applied");
    Ok(ResetOutcome::Reset(*reset))
}

/// What was asked for, if there was reason to.
enum Asked {
    /// The reset of that number.
    For(usize),
    NotAhead(Timestamp),
    NoWatermark,
}

/// The commit to `avg_speed` that asks for the reset.
fn ask(
    events: &TableState,
    avg_speed: &TableLog,
    app_ids: &AppIds,
    partition: KafkaPartition,
    to: Timestamp,
) -> Result<CommitDecision<Asked>, LakeError> {
    let furthest = furthest(app_ids, events, avg_speed.state(), partition);
    let Some(from) = furthest.max_event_time else {
        return Ok(CommitDecision::Nothing(Asked::NoWatermark));
    };
    if from <= to {
        return Ok(CommitDecision::Nothing(Asked::NotAhead(from)));
    }
    let number = app_ids.reset_count(avg_speed.state(), partition) + 1;
    let lake = avg_speed.lake();
    let info = json!({
        "kafkaPartition": partition, "from": from.to_string(), "to": to.to_string(),
    });
    let request = Commit::new(lake, OPERATION)
        .txns(app_ids.request_reset(partition, number, to, lake.now()))
        .info(INFO, info);
    Ok(CommitDecision::Commit(request, Asked::For(number)))
}

/// Applies the reset of `partition` that is asked for and not applied yet, if there is one.
pub(crate) async fn apply_requested_reset(
    tables: &mut Tables,
    partition: KafkaPartition,
) -> Result<(), LakeError> {
    let Tables { events, avg_speed, app_ids, .. } = tables;
    apply_in(events, avg_speed, app_ids, partition).await
}

/// Applies the reset in `events` that `avg_speed` asks for and `events` does not have.
async fn apply_in(
    events: &mut TableLog,
    avg_speed: &TableLog,
    app_ids: &AppIds,
    partition: KafkaPartition,
) -> Result<(), LakeError> {
    // Whoever was faster has moved the partition, or has applied the reset.
    let applied = commit_with(events, async |events: &TableLog| {
        let commit = applying_commit(events, avg_speed.state(), app_ids, partition);
        Ok::<_, LakeError>(match commit {
            Some(commit) => CommitDecision::Commit(commit, ()),
            None => CommitDecision::Nothing(()),
        })
    });
    let Committed { value: (), .. } = applied.await?;
    Ok(())
}

/// The commit to `events` that applies the reset; `None` if none is asked for that is not applied yet.
fn applying_commit(
    events: &TableLog,
    avg_speed: &TableState,
    app_ids: &AppIds,
    partition: KafkaPartition,
) -> Option<Commit> {
    let number = app_ids.reset_count(avg_speed, partition);
    let (to, requested_at) = app_ids.requested_reset(avg_speed, partition, number)?;
    if number <= app_ids.reset_count(events.state(), partition) {
        return None;
    }
    let landed = app_ids.progress(events.state(), partition);
    let PartitionProgress { next_offset, max_event_time, .. } =
        furthest(app_ids, events.state(), avg_speed, partition);
    let offset = next_offset.unwrap_or(Offset::ZERO);
    let from = max_event_time.unwrap_or(to);
    let reset = WatermarkReset { partition, offset, from, to, requested_at };
    let mut txns = app_ids.record_reset(number, &reset);
    if landed.next_offset == next_offset {
        txns.push((app_ids.max_event_time(partition), to.micros()));
    }
    Some(Commit::new(events.lake(), OPERATION).txns(txns).info(INFO, describe(&reset)))
}

/// How far the further of the two tables is, with the greatest event time there.
fn furthest(
    app_ids: &AppIds,
    events: &TableState,
    avg_speed: &TableState,
    partition: KafkaPartition,
) -> PartitionProgress {
    let landed = app_ids.progress(events, partition);
    let averaged = app_ids.progress(avg_speed, partition);
    let further = if landed.next_offset >= averaged.next_offset { landed } else { averaged };
    let resets = app_ids.watermark_resets(events, partition);
    let next = further.next_offset.unwrap_or(Offset::ZERO);
    let clock = Clock::resumed(next, further.max_event_time, &resets).now();
    PartitionProgress { max_event_time: clock.max_event_time(), ..further }
}

fn describe(reset: &WatermarkReset) -> Value {
    json!({
        "kafkaPartition": reset.partition,
        "offset": reset.offset,
        "from": reset.from.to_string(),
        "to": reset.to.to_string(),
    })
}
