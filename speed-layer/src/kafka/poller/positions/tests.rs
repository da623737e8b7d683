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
