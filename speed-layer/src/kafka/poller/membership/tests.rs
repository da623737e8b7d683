//! Rebalances with librdkafka's in-process broker on one side and a test in the place of the engine on the other.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use rdkafka::consumer::Consumer;

use crate::kafka::poller::test_bed::{Bed, start};

use super::*;

fn membership() -> Membership {
    Membership::new(Arc::default())
}

fn partitions<const N: usize>(ids: [i32; N]) -> Vec<KafkaPartition> {
    ids.map(KafkaPartition).to_vec()
}

fn bounds(partition: i32, low: i64, high: i64) -> AssignedPartition {
    let (low, high) = (Offset(low), Offset(high));
    AssignedPartition { partition: KafkaPartition(partition), low, high, truncation: None }
}

#[test]
fn partitions_are_asked_about_until_each_has_a_start() {
    let mut assignment = Assignment::of(&[0, 1, 2].map(KafkaPartition));
    assignment.answer(&[start(1, 5, 1)]);
    assert_eq!(assignment.unanswered(), [0, 2].map(KafkaPartition));
    assignment.answer(&[start(2, 6, 2), start(0, 7, 3)]);
    assert!(assignment.unanswered().is_empty());
    assert_eq!(assignment.into_starts(), [start(1, 5, 1), start(2, 6, 2), start(0, 7, 3)]);
}

#[test]
fn positions_are_out_of_range_below_the_first_offset_and_beyond_the_end_only() {
    let positions = [(0, 4), (1, 5), (2, 9), (3, 10), (4, 7)];
    let positions = positions.map(|(id, position)| (KafkaPartition(id), Offset(position)));
    let known: Vec<_> = (0..4).map(|partition| bounds(partition, 5, 9)).collect();
    assert_eq!(out_of_range(&positions, &known), [0, 3].map(KafkaPartition));
}

#[test]
fn assigned_partitions_are_fetched_from_where_the_engine_says_by_what_kafka_has() {
    let mut bed = Bed::new();
    bed.fill(1, 3);
    // At first the engine can't say of partition 1.
    let engine = bed.engine(2, |event| match event {
        SourceEvent::Assigned { partitions, reply } => {
            let last = *partitions.first().unwrap();
            reply.send(vec![start(last.partition.0, last.high.0, 1)]).unwrap();
            partitions
        }
        other => panic!("{other:?}"),
    });
    membership().handle(Rebalance::Assign(partitions([2, 1])), &mut bed.link).unwrap();
    let asked = bed.wait(engine);
    assert_eq!(asked, [vec![bounds(2, 0, 0), bounds(1, 0, 3)], vec![bounds(1, 0, 3)]]);
    assert_eq!(bed.assigned(), BTreeMap::from([(1, 3), (2, 0)]));
    assert_eq!(bed.positions(), [(1, 3), (2, 0)]);
    assert!(
        bed.link.positions.valid(KafkaPartition(1)).is_some(),
        "it is fetched from there: no seek is needed"
    );
}

#[test]
fn revoked_partitions_are_returned_only_after_the_engine_has_released_them() {
    let mut bed = Bed::new();
    for partition in [0, 1] {
        bed.link.positions.begin(start(partition, 0, 1), now());
    }
    bed.link.client.assign(&[start(0, 0, 1), start(1, 0, 1)]).unwrap();
    let consumer = Arc::clone(&bed.consumer);
    let engine = bed.engine(1, move |event| match event {
        SourceEvent::Revoked { partitions, reply } => {
            let still_assigned = consumer.assignment().unwrap().count();
            reply.send(()).unwrap();
            (partitions, still_assigned)
        }
        other => panic!("{other:?}"),
    });
    membership().handle(Rebalance::Revoke(partitions([0, 1])), &mut bed.link).unwrap();
    assert_eq!(bed.wait(engine), [(partitions([0, 1]), 2)]);
    assert_eq!(bed.assigned(), BTreeMap::new());
    assert!(bed.link.positions.ids().is_empty());
}

#[test]
fn what_stays_assigned_in_a_rebalance_needs_a_seek_after_it() {
    let mut bed = Bed::new();
    bed.link.positions.begin(start(0, 4, 1), now());
    bed.link.positions.begin(start(1, 0, 1), now());
    let engine = bed.engine(1, |event| match event {
        SourceEvent::Revoked { reply, .. } => reply.send(()).unwrap(),
        other => panic!("{other:?}"),
    });
    membership().handle(Rebalance::Revoke(partitions([1])), &mut bed.link).unwrap();
    bed.wait(engine);
    assert_eq!(bed.link.positions.needing_seek(|_| true), [start(0, 4, 1)]);
}

/// An engine that starts every partition at 2 in epoch 8, and notes which were lost and which assigned.
fn restarting(event: SourceEvent) -> (&'static str, Vec<KafkaPartition>) {
    match event {
        SourceEvent::Lost { partitions } => ("lost", partitions),
        SourceEvent::Assigned { partitions, reply } => {
            let ids: Vec<_> = partitions.iter().map(|assigned| assigned.partition).collect();
            reply.send(ids.iter().map(|id| start(id.0, 2, 8)).collect()).unwrap();
            ("assigned", ids)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn partitions_whose_position_is_gone_are_started_anew_and_the_others_need_a_seek() {
    let mut bed = Bed::new();
    bed.fill(0, 3);
    bed.fill(1, 2);
    bed.link.positions.begin(start(0, 3, 1), now());
    bed.link.positions.begin(start(1, 7, 1), now());
    let engine = bed.engine(2, restarting);
    membership().restart_out_of_range(&mut bed.link).unwrap();
    assert_eq!(bed.wait(engine), [("lost", partitions([1])), ("assigned", partitions([1]))]);
    assert_eq!(bed.link.positions.needing_seek(|_| true), [start(0, 3, 1), start(1, 2, 8)]);
}

#[test]
fn partitions_whose_records_were_misrouted_are_started_anew_if_they_are_assigned() {
    let mut bed = Bed::new();
    bed.fill(1, 2);
    bed.link.positions.begin(start(0, 3, 1), now());
    bed.link.positions.begin(start(1, 7, 1), now());
    membership().restart_misrouted(partitions([3]), &mut bed.link).unwrap();
    assert!(bed.sent().is_empty(), "partition 3 is another instance's");
    let engine = bed.engine(2, restarting);
    membership().restart_misrouted(partitions([1, 3]), &mut bed.link).unwrap();
    assert_eq!(bed.wait(engine), [("lost", partitions([1])), ("assigned", partitions([1]))]);
    assert_eq!(bed.link.positions.needing_seek(|_| true), [start(1, 2, 8)]);
}

#[test]
fn a_partition_whose_log_has_to_grow_to_its_start_is_sought_only_once_it_has() {
    let mut bed = Bed::new();
    bed.fill(1, 1);
    let engine = bed.engine(1, restarting);
    membership().handle(Rebalance::Assign(partitions([1])), &mut bed.link).unwrap();
    bed.wait(engine);
    assert!(bed.link.positions.valid(KafkaPartition(1)).is_none());
    bed.link.positions.wait_for_growth(KafkaPartition(1), now());
    membership().look_for_growth(&mut bed.link).unwrap();
    assert!(!bed.link.positions.needs_seek(now() + GROWTH_WAIT));
    bed.fill(1, 1);
    bed.link.positions.wait_for_growth(KafkaPartition(1), now());
    membership().look_for_growth(&mut bed.link).unwrap();
    assert_eq!(bed.link.positions.needing_seek(|at| at <= now()), [start(1, 2, 8)]);
}
