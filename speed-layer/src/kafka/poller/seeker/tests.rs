//! Which partitions are moved, and what a refusal leads to.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use crate::kafka::poller::test_bed::{Bed, SHORT, start};
use crate::source::SourceEvent;

use super::*;

/// Partitions 0 and 1, of which 0 needs a seek since `since`.
fn positions(since: Instant) -> Positions {
    let mut positions = Positions::new(SHORT);
    positions.begin(start(0, 3, 1), now());
    positions.invalidate_all(since);
    positions.begin(start(1, 5, 2), now());
    positions
}

fn refusal() -> KafkaResult<()> {
    Err(KafkaError::OffsetFetch(RDKafkaErrorCode::State))
}

/// A consumer of partition 0 that has stopped to fetch it, because its offset is not there.
fn stopped() -> Bed {
    let mut bed = Bed::new();
    bed.link.client.assign(&[start(0, 50, 1)]).unwrap();
    bed.wait_for(|link| {
        link.client.poll_consumer();
        link.client.next_error()
    });
    bed
}

#[test]
fn only_partitions_that_need_it_are_moved_and_count_again_once_they_were() {
    let (now, mut seeker) = (now(), Seeker::default());
    let mut positions = positions(now);
    assert_eq!(seeker.due(&positions, now), [start(0, 3, 1)]);
    assert!(seeker.record(Ok(vec![(KafkaPartition(0), Ok(()))]), &mut positions, now).is_empty());
    assert!(positions.valid(KafkaPartition(0)).is_some());
    assert_eq!(seeker.due(&positions, now), []);
}

#[test]
fn a_partition_whose_seek_is_refused_is_tried_again_after_a_pause() {
    let (now, mut seeker) = (now(), Seeker::default());
    let mut positions = positions(now);
    let failures = seeker.record(Ok(vec![(KafkaPartition(0), refusal())]), &mut positions, now);
    assert!(failures.is_empty(), "a refusal passes: {failures:?}");
    assert!(positions.valid(KafkaPartition(0)).is_none());
    assert_eq!(seeker.due(&positions, now + POLL_TIMEOUT / 2), []);
    assert_eq!(seeker.due(&positions, now + POLL_TIMEOUT), [start(0, 3, 1)]);
}

#[test]
fn a_seek_that_was_not_made_at_all_is_tried_again_after_a_pause() {
    let (now, mut seeker) = (now(), Seeker::default());
    let mut positions = positions(now);
    let failed = Err(KafkaError::Seek("timed out".to_owned()));
    assert!(seeker.record(failed, &mut positions, now).is_empty());
    assert!(positions.valid(KafkaPartition(0)).is_none());
    assert_eq!(seeker.due(&positions, now), []);
    assert_eq!(seeker.due(&positions, now + POLL_TIMEOUT), [start(0, 3, 1)]);
}

#[test]
fn a_failure_that_stays_is_returned_and_the_other_answers_count() {
    let (now, mut seeker) = (now(), Seeker::default());
    let mut positions = positions(now);
    positions.invalidate_all(now);
    let failed = Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition));
    let answers = vec![(KafkaPartition(0), failed), (KafkaPartition(1), Ok(()))];
    let failures = seeker.record(Ok(answers), &mut positions, now);
    assert_eq!(failures.len(), 1);
    assert!(positions.valid(KafkaPartition(1)).is_some());
}

#[test]
fn partitions_are_assigned_again_once_librdkafka_has_not_fetched_them_for_long() {
    let now = now();
    let positions = positions(now);
    let early = now + SEEK_PATIENCE / 2;
    assert_eq!(reassignment(&positions, true, early), None);
    let late = now + SEEK_PATIENCE;
    let idle = vec![KafkaPartition(0)];
    let alone = Reassignment { idle: idle.clone(), starts: vec![start(0, 3, 1)] };
    assert_eq!(reassignment(&positions, true, late), Some(alone));
    // Where an assignment replaces all, those that are fetched are in it, too.
    let all = Reassignment { idle, starts: vec![start(0, 3, 1), start(1, 5, 2)] };
    assert_eq!(reassignment(&positions, false, late), Some(all));
}

#[test]
fn a_partition_that_librdkafka_has_stopped_to_fetch_is_assigned_again_from_where_it_goes_on() {
    let mut bed = stopped();
    bed.link.positions = positions(now() - SEEK_PATIENCE);
    Seeker::default().seek(&mut bed.link).unwrap();
    assert_eq!(bed.assigned(), BTreeMap::from([(0, 3), (1, 5)]));
    assert!(bed.link.positions.valid(KafkaPartition(0)).is_some());
    assert!(bed.sent().is_empty(), "no failure is reported");
}

#[test]
fn a_partition_that_librdkafka_does_not_fetch_yet_is_waited_for() {
    let mut bed = stopped();
    bed.link.positions = positions(now());
    let mut seeker = Seeker::default();
    seeker.seek(&mut bed.link).unwrap();
    assert_eq!(bed.assigned(), BTreeMap::from([(0, 50)]));
    assert!(bed.link.positions.valid(KafkaPartition(0)).is_none());
    assert!(seeker.refused_at.is_some());
}

#[test]
fn a_seek_that_fails_for_good_is_reported_to_the_engine() {
    let mut bed = Bed::new();
    bed.link.positions = positions(now());
    // The consumer was never assigned it.
    Seeker::default().seek(&mut bed.link).unwrap();
    let sent = bed.sent();
    assert!(
        matches!(&sent[..], [SourceEvent::Failed { problem }] if problem.starts_with("seek of topic")),
        "{sent:?}"
    );
}
