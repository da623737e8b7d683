//! Leader epochs in lakes in memory, and logs of Kafka that were cut below what is landed.

#![allow(clippy::unwrap_used)]

mod ahead;
mod rivals;

use std::collections::BTreeSet;

use lake_delta::Lake;
use lake_model::{KafkaPartition, LeaderEpoch, Offset};
use lake_tables::Table;

use crate::recovery::RecoveryError;
use crate::source::{AssignedPartition, Start, Truncation};
use crate::takeover::Takeover;
use crate::test_instance::{Instance, lake, offsets, version, whole};

use super::*;

async fn ask(
    instance: &mut Instance,
    assigned: AssignedPartition,
) -> Result<Vec<Start>, RecoveryError> {
    let (held, committer) = (&mut instance.partitions, &mut instance.committer);
    instance.takeover.load(&[assigned], held, committer, &instance.rules).await
}

async fn load(
    instance: &mut Instance,
    assigned: AssignedPartition,
) -> Result<Start, RecoveryError> {
    Ok(ask(instance, assigned).await?[0])
}

const PARTITION: KafkaPartition = KafkaPartition(0);

/// A cut below the ten records that `events` hold.
const CUT: CutBelowLanded = CutBelowLanded {
    partition: PARTITION,
    end: Some(Offset(7)),
    position: Offset(10),
    covered_to: Offset(10),
    averaged_to: Offset(10),
};

/// A lake whose `events` hold ten records of partition 0, of leaders 4 and 5, and whose averages hold so many of these.
async fn lake_with(averaged: i64) -> Lake {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    for (epoch, first, next) in [(4, 0, 6), (5, 6, 10)] {
        instance.receive_under(epoch, first, next - first);
        instance.land().await;
        if averaged >= next {
            instance.average(true).await;
        }
    }
    lake
}

/// Kafka's verdict over `position`: the log that was read ends at `end`.
fn cut(position: i64, end: i64) -> AssignedPartition {
    let (position, end) = (Offset(position), Some(Offset(end)));
    let truncation = Truncation { position, end, leader_epoch: None };
    AssignedPartition { truncation: Some(truncation), ..whole(0) }
}

fn epoch(number: i64) -> Option<LeaderEpoch> {
    LeaderEpoch::new(number)
}

/// Whether records from that offset on, of that leader, contradict what the instance has loaded.
fn is_contradicted(instance: &Instance, offset: i64, leader_epoch: Option<i64>) -> bool {
    let mut batch = instance.batch(0, &[(offset, Some(offset)), (offset + 1, None)]);
    batch.leader_epoch = leader_epoch.and_then(epoch);
    instance.partitions.get(PARTITION).unwrap().is_contradicted_by(&batch)
}

fn on_record(instance: &Instance) -> Vec<(Option<i64>, i64)> {
    let tables = instance.committer.tables();
    let found = tables.app_ids.accepted_truncations(tables.events.state(), PARTITION);
    found
        .iter()
        .map(|AcceptedTruncation { cut, .. }| (cut.end.map(|end| end.0), cut.position.0))
        .collect()
}

async fn accepting(lake: &Lake) -> Instance {
    Instance { takeover: Takeover::new(true), ..Instance::on(lake).await }
}

#[tokio::test]
async fn a_partition_starts_with_the_leader_epoch_that_is_stored_beside_its_offset() {
    for (averaged, expected) in [(10, (10, epoch(5))), (6, (6, epoch(4)))] {
        let mut new = Instance::on(&lake_with(averaged).await).await;
        let start = load(&mut new, whole(0)).await.unwrap();
        assert_eq!((start.offset.0, start.leader_epoch), expected);
    }
}

#[tokio::test]
async fn an_epoch_that_is_stored_beside_another_offset_says_nothing() {
    let lake = lake_with(10).await;
    let mut older = Instance::holding(&lake, &[0]).await;
    older.receive_events(0, 10, 2);
    older.land().await;
    older.average(true).await;
    let start = load(&mut Instance::on(&lake).await, whole(0)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (12, None));
}

#[tokio::test]
async fn the_end_of_a_transaction_has_the_epoch_of_its_own_leader() {
    let lake = lake_with(10).await;
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.partitions.iter_mut().for_each(|held| held.advance(Offset(11), epoch(7)));
    instance.land().await;
    instance.average(true).await;
    let start = load(&mut Instance::on(&lake).await, whole(0)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (11, epoch(7)));
}

#[tokio::test]
async fn a_log_that_was_cut_below_what_is_landed_is_refused_with_the_offsets_and_the_setting() {
    let mut new = Instance::on(&lake_with(10).await).await;
    let refused = load(&mut new, cut(10, 7)).await.unwrap_err().to_string();
    for part in ["topic camera-events, partition 0", "offsets 7 to 9", "kafka.on_data_loss"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(on_record(&new).is_empty());
}

#[tokio::test]
async fn a_verdict_over_what_had_not_landed_leaves_the_tables_as_they_are() {
    let mut new = Instance::on(&lake_with(10).await).await;
    let start = load(&mut new, cut(11, 10)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (10, epoch(5)));
}

#[tokio::test]
async fn a_verdict_over_what_had_not_landed_counts_where_the_cut_is_below_what_has() {
    let mut new = Instance::on(&lake_with(10).await).await;
    let refused = load(&mut new, cut(15, 7)).await.unwrap_err().to_string();
    assert!(refused.contains("offsets 7 to 9"), "{refused}");
}

#[tokio::test]
async fn where_a_cut_is_accepted_consuming_goes_on_at_what_is_landed_and_it_is_on_record_once() {
    let lake = lake_with(10).await;
    let mut new = accepting(&lake).await;
    for _ in 0..2 {
        let start = load(&mut new, cut(10, 7)).await.unwrap();
        assert_eq!((start.offset.0, start.leader_epoch), (10, None), "it would be refused again");
        assert_eq!(on_record(&new), [(Some(7), 10)]);
    }
    // It was accepted for good, whatever the setting says later, and however short the log is.
    let mut strict = Instance::on(&lake).await;
    let short = AssignedPartition { high: Offset(8), ..whole(0) };
    assert_eq!(load(&mut strict, short).await.unwrap().offset, Offset(10));
    strict.receive_under(6, 10, 2);
    strict.land().await;
    strict.average(true).await;
    let start = load(&mut Instance::on(&lake).await, whole(0)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (12, epoch(6)));
    let all: Vec<_> = (0..12).map(|offset| (0, offset)).collect();
    assert_eq!(offsets(&lake, Table::Events).await, all);
}

#[tokio::test]
async fn a_shorter_log_without_a_leader_epoch_is_refused_once_newer_bounds_are_short_too() {
    // It may be a topic that was made anew.
    let lake = lake_with(10).await;
    let mut older = Instance::holding(&lake, &[0]).await;
    older.receive_events(0, 10, 2);
    older.land().await;
    older.average(true).await;
    let short = AssignedPartition { high: Offset(8), ..whole(0) };
    let mut new = accepting(&lake).await;
    assert!(ask(&mut new, short).await.unwrap().is_empty());
    let refused = load(&mut new, short).await.unwrap_err();
    assert!(
        matches!(refused, RecoveryError::Shorter { wanted: Offset(12), end: Offset(8), .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn whether_a_shorter_log_was_cut_and_where_is_for_kafka_to_say() {
    for (averaged, expected) in [(10, (10, epoch(5))), (6, (6, epoch(4)))] {
        let mut new = accepting(&lake_with(averaged).await).await;
        let short = AssignedPartition { high: Offset(8), ..whole(0) };
        let start = load(&mut new, short).await.unwrap();
        assert_eq!((start.offset.0, start.leader_epoch), expected, "a broker may lag behind");
        assert!(on_record(&new).is_empty());
    }
}

#[tokio::test]
async fn a_second_cut_is_accepted_and_recorded_as_another() {
    let lake = lake_with(10).await;
    let mut instance = accepting(&lake).await;
    load(&mut instance, cut(10, 7)).await.unwrap();
    instance.receive_under(6, 10, 2);
    instance.land().await;
    instance.average(true).await;
    assert_eq!(load(&mut instance, cut(12, 11)).await.unwrap().offset, Offset(12));
    assert_eq!(on_record(&instance), [(Some(7), 10), (Some(11), 12)]);
}

#[tokio::test]
async fn a_log_that_was_cut_before_its_averages_began_is_found_by_its_records() {
    let instance = Instance::holding(&lake_with(0).await, &[0]).await;
    let held = instance.partitions.get(PARTITION).unwrap();
    assert_eq!((held.position(), held.avg_speed_offset), (Offset(0), None));
    assert!(!is_contradicted(&instance, 0, Some(5)));
    assert!(is_contradicted(&instance, 0, Some(6)));
}

#[tokio::test]
async fn records_of_a_later_leader_than_what_is_landed_under_their_offsets_contradict_it() {
    // Averages are behind: the replay begins where both logs are the same still.
    let mut instance = Instance::holding(&lake_with(6).await, &[0]).await;
    for (offset, leader_epoch, contradicts) in
        [(6, Some(5), false), (8, Some(6), true), (10, Some(6), false), (8, None, false)]
    {
        assert_eq!(is_contradicted(&instance, offset, leader_epoch), contradicts, "{offset}");
    }
    let (held, committer) = (&mut instance.partitions, &mut instance.committer);
    let (takeover, rules) = (&mut instance.takeover, &instance.rules);
    let refused =
        takeover.reload_truncated(PARTITION, Offset(8), held, committer, rules).await.unwrap_err();
    assert!(refused.to_string().contains("offsets 8 to 9"), "{refused}");
}
