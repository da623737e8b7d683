//! What counts of a partition, and when it is to be sought.

#![allow(clippy::unwrap_used)]

use super::super::now;
use super::*;

const PARTITION: KafkaPartition = KafkaPartition(3);

fn start(offset: i64, epoch: u64) -> Start {
    Start { partition: PARTITION, offset: Offset(offset), epoch, leader_epoch: None }
}

#[test]
fn nothing_of_a_partition_counts_from_a_pause_until_a_seek_has_succeeded() {
    let mut positions = Positions::new(Waits::default());
    positions.begin(start(10, 1), now());
    assert!(positions.valid(PARTITION).is_some());
    positions.invalidate_all(now());
    assert!(positions.valid(PARTITION).is_none());
    assert_eq!(positions.needing_seek(|_| true), [start(10, 1)]);
    positions.validate(PARTITION);
    assert!(positions.valid(PARTITION).is_some() && positions.needing_seek(|_| true).is_empty());
}

#[test]
fn a_seek_of_an_earlier_assignment_is_passed_over() {
    let mut positions = Positions::new(Waits::default());
    assert!(!positions.begin_elsewhere(start(10, 1), now()), "it is not assigned");
    positions.begin(start(20, 2), now());
    assert!(!positions.begin_elsewhere(start(10, 1), now()), "it was asked for earlier");
    assert_eq!(positions.positions(), [(PARTITION, Offset(20))]);
    assert!(positions.begin_elsewhere(start(10, 2), now()));
    assert_eq!(positions.needing_seek(|_| true), [start(10, 2)]);
}

#[test]
fn a_partition_waits_for_its_seek_since_the_first_pause() {
    let mut positions = Positions::new(Waits::default());
    positions.begin(start(10, 1), now());
    let first = now();
    positions.invalidate_all(first);
    positions.invalidate_all(now());
    assert_eq!(positions.needing_seek(|since| since == first).len(), 1);
}

#[test]
fn failures_at_one_offset_count_together_unless_they_are_long_apart() {
    let mut positions = Positions::new(Waits::default());
    let mut at = now();
    positions.begin(start(10, 1), at);
    let mut fail_after = |wait| {
        at += wait;
        positions.note_failure(PARTITION, at).is_some()
    };
    assert!(
        (0..100).all(|_| fail_after(FORGET_FAILURES_AFTER)),
        "the partition may be idle for months"
    );
    let stays = (0..100).take_while(|_| fail_after(Waits::default().fetch_again));
    assert!(stays.count() < 20, "a failure that stays is tried a bounded number of times");
}

#[test]
fn partitions_that_wait_for_something_are_not_among_those_that_are_fetched() {
    let mut positions = Positions::new(Waits::default());
    let other = |partition| Start { partition: KafkaPartition(partition), ..start(10, 1) };
    (0..3).for_each(|partition| positions.begin(other(partition), now()));
    positions.note_failure(KafkaPartition(0), now()).unwrap();
    positions.wait_for_growth(KafkaPartition(1), now());
    assert_eq!(positions.valid_ids(), [KafkaPartition(2)]);
    assert_eq!(positions.ids().len(), 3);
}
