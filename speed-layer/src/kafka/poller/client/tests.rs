//! The group's consumer on librdkafka's in-process broker.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::poller::test_bed::{Bed, start};
use lake_model::{KafkaPartition, Offset, OffsetRange};

#[test]
fn partitions_are_fetched_from_the_offsets_given_until_they_are_returned() {
    let bed = Bed::new();
    bed.link.client.assign(&[start(0, 3, 1), start(2, 5, 1)]).unwrap();
    assert_eq!(bed.assigned(), BTreeMap::from([(0, 3), (2, 5)]));
    // The group's protocol is not cooperative: an assignment replaces all.
    bed.link.client.assign(&[start(1, 7, 1)]).unwrap();
    assert_eq!(bed.assigned(), BTreeMap::from([(1, 7)]));
    bed.link.client.unassign(&[KafkaPartition(1)]).unwrap();
    assert_eq!(bed.assigned(), BTreeMap::new());
}

#[test]
fn bounds_are_the_offsets_that_kafka_has() {
    let bed = Bed::new();
    bed.fill(1, 3);
    let held = bed.link.client.bounds_of(KafkaPartition(1), || false).unwrap();
    assert_eq!(held, OffsetRange::new(Offset::ZERO, Offset(3)));
    let held = bed.link.client.bounds_of(KafkaPartition(2), || false).unwrap();
    assert_eq!(held, OffsetRange::new(Offset::ZERO, Offset(0)));
}

#[test]
fn a_partition_that_comes_beside_the_queue_is_reported_as_misrouted_once() {
    let mut bed = Bed::new();
    bed.fill(1, 3);
    bed.link.client.assign(&[start(1, 0, 1)]).unwrap();
    let misrouted = bed.wait_for(|link| {
        link.client.poll_consumer();
        Some(link.client.drain_misrouted()).filter(|found| !found.is_empty())
    });
    assert_eq!(misrouted, [KafkaPartition(1)]);
    assert!(bed.link.client.drain_misrouted().is_empty());
}

#[test]
fn an_error_waits_until_it_is_asked_for() {
    let mut bed = Bed::new();
    bed.link.client.assign(&[start(1, 50, 1)]).unwrap();
    let error = bed.wait_for(|link| {
        link.client.poll_consumer();
        link.client.next_error()
    });
    let gone = RDKafkaErrorCode::AutoOffsetReset;
    assert_eq!(error.rdkafka_error_code(), Some(gone), "{error}");
    assert!(bed.link.client.drain_misrouted().is_empty());
}

#[test]
fn a_seek_of_a_partition_that_is_not_fetched_is_answered_with_an_error() {
    let bed = Bed::new();
    let answers = bed.link.client.seek(&[start(3, 0, 1)]).unwrap();
    let (partition, answer) = &answers[0];
    assert_eq!((*partition, answers.len()), (KafkaPartition(3), 1));
    assert!(answer.is_err());
}

#[test]
fn a_client_that_leaves_fetches_nothing_and_keeps_no_rebalance_waiting() {
    let bed = Bed::new();
    bed.link.client.assign(&[start(0, 0, 1)]).unwrap();
    bed.link.client.leave();
    assert_eq!(bed.assigned(), BTreeMap::new());
    assert!(!bed.link.client.has_rebalance());
}
