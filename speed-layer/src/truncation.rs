//! Going on after Kafka's log was cut below what is landed, where a setting accepts that.
//!
//! What is landed stays landed, and its offsets are covered. New records under these offsets are never read: consuming goes on at
//! the next offset of `events`, once the log has grown to it, and passes over what dead letters and gaps cover beyond that, which
//! landed ahead of it. Averages that had not reached it lack what is between, until the batch
//! makes the day final.
//!
//! # Consistency
//! The cut is put on record in `events` at exactly the version that is committed on, once for a position: whoever loads the partition
//! at that position goes on as accepted, and does not ask Kafka about the log before it again, nor acts on what Kafka said of it
//! earlier. Then `avg_speed` is moved to that position, if it has not reached it: what lies between is another log's by now.
//!
//! Both commits are made only while the partition has the owner epoch that was loaded, and `events` its offset: whoever was
//! overtaken reads the tables again, and judges by them. Neither commit claims the partition, since nothing is landed by it.
//! The first moves no offset, so it fences nobody; it gives `events` one if it had none.
//!
//! # Crash consistency
//! Nothing goes on before the record is there. Whoever loads the partition next moves `avg_speed`, before anything else, if that was
//! not done.

use lake_delta::{Commit, CommitDecision, Committed, LakeError, TableLog, commit_with};
use lake_model::commit::OwnerEpoch;
use lake_model::{KafkaPartition, Offset};
use lake_tables::txn::{AcceptedTruncation, AppIds, CutBelowLanded, PartitionProgress};
use serde_json::json;

use crate::source::Truncation;
use crate::tables::Tables;

const OPERATION: &str = "ACCEPT TRUNCATION";
const INFO: &str = "acceptedTruncation";

/// The newest cut of `partition` that was accepted, if `events` has not moved on since.
pub fn accepted(
    events: &TableLog,
    app_ids: &AppIds,
    partition: KafkaPartition,
) -> Option<AcceptedTruncation> {
    let next = app_ids.progress(events.state(), partition).next_offset;
    newest(events, app_ids, partition).filter(|newest| Some(newest.cut.position) == next)
}

/// The newest cut of `partition` that was accepted.
pub fn newest(
    events: &TableLog,
    app_ids: &AppIds,
    partition: KafkaPartition,
) -> Option<AcceptedTruncation> {
    app_ids.accepted_truncations(events.state(), partition).pop()
}

/// What `verdict` says that was not accepted already: one over a log that ends before the position of an accepted cut, and over
/// no later position, says nothing of what has landed since.
pub fn news(
    verdict: Option<Truncation>,
    events: &TableLog,
    app_ids: &AppIds,
    partition: KafkaPartition,
) -> Option<Truncation> {
    let newest = newest(events, app_ids, partition);
    let is_known = |verdict: &Truncation| {
        newest.is_some_and(|AcceptedTruncation { cut: known, .. }| {
            let ends_before = verdict.end.is_none_or(|end| end < known.position);
            ends_before && verdict.position <= known.position
        })
    };
    verdict.filter(|verdict| !is_known(verdict))
}

/// How far a table is with a partition, and whose that is.
fn standing(
    log: &TableLog,
    app_ids: &AppIds,
    partition: KafkaPartition,
) -> (Option<Offset>, OwnerEpoch) {
    let next = app_ids.progress(log.state(), partition).next_offset;
    (next, app_ids.owner_epoch(log.state(), partition))
}

/// Another instance was faster: what is to be committed is to be judged by newer tables.
fn overtaken(log: &TableLog) -> LakeError {
    LakeError::Overtaken { table: log.table().name, tries: 1 }
}

/// Puts on record that the log was cut below what is landed, as `tables` have it, and that this is accepted.
///
/// # Errors
/// The table can't be read or committed to, or another instance has moved or claimed the partition since `tables` were read.
pub async fn accept(tables: &mut Tables, cut: CutBelowLanded) -> Result<(), LakeError> {
    let CutBelowLanded { partition, end, position, covered_to, .. } = cut;
    let Tables { events, app_ids, .. } = tables;
    let accepted_at = events.lake().now();
    let judged = standing(events, app_ids, partition);
    let committed = commit_with(events, async |events: &TableLog| {
        if standing(events, app_ids, partition) != judged {
            return Err(overtaken(events));
        }
        if accepted(events, app_ids, partition).is_some() {
            return Ok(CommitDecision::Nothing(false));
        }
        let truncation = AcceptedTruncation { cut, accepted_at };
        let number = app_ids.truncation_count(events.state(), partition) + 1;
        let info = json!({
            "kafkaPartition": partition.0, "end": end.map(|end| end.0), "position": position.0,
            "coveredTo": covered_to.0,
        });
        let mut commit = Commit::new(events.lake(), OPERATION)
            .txns(app_ids.record_truncation(number, &truncation))
            .info(INFO, info);
        let (next, _) = judged;
        if next.is_none() {
            let start =
                PartitionProgress { next_offset: Some(position), ..PartitionProgress::default() };
            commit = commit.txns(app_ids.record(partition, start));
        }
        Ok(CommitDecision::Commit(commit, true))
    });
    if committed.await?.value {
        metrics::counter!("lambdalake_speed_accepted_truncations_total").increment(1);
        tracing::error!(
            topic = app_ids.topic(),
            partition = partition.0,
            end = end.map(|end| end.0),
            position = position.0,
            covered_to = covered_to.0,
            "Kafka's log was cut below what is landed; going on at the position, as accepted: records that Kafka has anew \
             under offsets before it are not read, nor under those that dead_letters and offset_gaps cover up to covered_to"
        );
    }
    Ok(())
}

/// Moves `avg_speed` to where consuming goes on after a cut that was accepted, if it is not there.
///
/// # Errors
/// The tables can't be read or committed to, or another instance has claimed the partition since `tables` were read.
pub async fn apply_accepted(
    tables: &mut Tables,
    partition: KafkaPartition,
) -> Result<(), LakeError> {
    let Tables { events, avg_speed, app_ids, .. } = tables;
    if accepted(events, app_ids, partition).is_none() {
        return Ok(());
    }
    let (_, judged_owner) = standing(avg_speed, app_ids, partition);
    let moved = commit_with(avg_speed, async |avg_speed: &TableLog| {
        let target = app_ids.progress(events.state(), partition);
        let (averaged, owner) = standing(avg_speed, app_ids, partition);
        if averaged >= target.next_offset {
            return Ok(CommitDecision::Nothing(()));
        }
        // An owner claims `avg_speed` before it lands: if `events` has not moved by now, nobody did before this version.
        events.refresh().await?;
        if accepted(events, app_ids, partition).is_none() || owner != judged_owner {
            return Err(overtaken(avg_speed));
        }
        let target = PartitionProgress { leader_epoch: None, ..target };
        let commit = Commit::new(avg_speed.lake(), OPERATION);
        Ok(CommitDecision::Commit(commit.txns(app_ids.record(partition, target)), ()))
    });
    let Committed { value: (), .. } = moved.await?;
    Ok(())
}

#[cfg(test)]
mod tests;
