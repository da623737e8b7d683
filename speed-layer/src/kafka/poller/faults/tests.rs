//! What faults lead to, with librdkafka's in-process broker and alone.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::Arc;

use lake_model::{KafkaPartition, LeaderEpoch, Offset};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use speed_layer_fetch::Message;

use crate::kafka::poller::seeker::Seeker;
use crate::kafka::poller::test_bed::{Bed, start};

use super::*;

fn fault(code: RDKafkaErrorCode) -> Fault {
    let error = KafkaError::MessageConsumption(code);
    Fault { partition: Some(3), error, reason: "MessageSet at offset 17 failed".to_owned() }
}

/// A start before which the leader of that epoch appended.
fn start_under(partition: i32, offset: i64, leader_epoch: i64) -> Start {
    Start { leader_epoch: LeaderEpoch::new(leader_epoch), ..start(partition, offset, 1) }
}

/// Polls as the thread does, until something was sent to the engine that `is_meant`. Returns all that was sent.
fn poll_until(bed: &mut Bed, is_meant: impl Fn(&SourceEvent) -> bool) -> Vec<SourceEvent> {
    let (membership, mut seeker) = (Membership::new(Arc::default()), Seeker::default());
    let mut all = Vec::new();
    let is_over = std::cell::Cell::new(false);
    while !is_over.get() {
        let records = bed.link.client.records();
        bed.wait_for(|link| {
            link.client.serve(link.positions.ids().into_iter());
            seeker.seek(link).unwrap();
            records.serve(Duration::from_millis(20), |message| {
                let done = match message {
                    Message::Record(record) => link.accept(&record),
                    Message::End { partition, next_offset } => {
                        link.report_end(KafkaPartition(partition), Offset(next_offset))
                    }
                    Message::Fault(found) => {
                        handle(&found, KafkaPartition(found.partition.unwrap()), &membership, link)
                    }
                };
                done.map_or(ControlFlow::Break(()), ControlFlow::Continue)
            });
            Some(())
        });
        let sent = bed.sent();
        is_over.set(sent.iter().any(&is_meant));
        all.extend(sent);
    }
    all
}

fn assign(bed: &mut Bed, start: Start) {
    bed.link.client.route(start.partition);
    bed.link.positions.begin(start, now());
    bed.link.client.assign(&[start]).unwrap();
}

#[test]
fn waits_double_up_to_the_longest_and_end_after_some_tries() {
    let longest = 5 * FIRST_WAIT;
    let waits: Vec<_> = (1..=TRIES + 1).map(|times| wait_after(times, longest)).collect();
    assert_eq!(waits[..4], [1, 2, 4, 5].map(|waits| Some(waits * FIRST_WAIT)));
    assert_eq!((waits[9], waits[10]), (Some(longest), None));
}

#[test]
fn a_verdict_is_of_the_position_and_the_epoch_that_it_names() {
    let text = "Partition log truncation detected at offset 106 (leader epoch 4): broker end offset is 100 (offset \
                leader epoch 5). Reset to INVALID.";
    let found = verdict(text, start_under(0, 106, 4));
    let (position, leader_epoch) = (Offset(106), LeaderEpoch::new(4));
    assert_eq!(found, Some(Truncation { position, end: Some(Offset(100)), leader_epoch }));
    assert_eq!(verdict(text, start_under(0, 105, 4)), None, "librdkafka had fetched further");
    assert_eq!(verdict(text, start_under(0, 106, 3)), None);
    assert_eq!(verdict(text, start(0, 106, 1)), None);
    let none_left = "No epoch found less or equal to offset 106 (leader epoch 4): broker end offset is -1 (offset \
                     leader epoch -1). Reset using configured policy.";
    let found = verdict(none_left, start_under(0, 106, 4));
    assert_eq!(found, Some(Truncation { position, end: None, leader_epoch }));
    let gone = "fetch failed due to requested offset not available on the broker: Broker: Offset out of range";
    assert_eq!(verdict(gone, start_under(0, 106, 4)), None);
}

#[test]
fn a_fault_that_stays_is_named_with_its_place_and_the_setting() {
    for (code, setting) in [
        (RDKafkaErrorCode::BadMessage, "check.crcs"),
        (RDKafkaErrorCode::BadCompression, "receive.message.max.bytes"),
        (RDKafkaErrorCode::MessageSizeTooLarge, "fetch.max.bytes"),
    ] {
        let problem = problem(&fault(code), "speeds", start(3, 18, 1));
        let place = "topic speeds, partition 3, offset 18: ";
        assert!(problem.starts_with(place) && problem.contains(setting), "{problem}");
        assert!(problem.contains("MessageSet at offset 17 failed"), "{problem}");
    }
}

#[test]
fn after_a_fault_nothing_counts_until_the_partition_was_fetched_again_from_where_it_was() {
    let mut bed = Bed::new();
    bed.link.positions.begin(start(3, 0, 1), now());
    let membership = Membership::new(Arc::default());
    handle(&fault(RDKafkaErrorCode::BadMessage), KafkaPartition(3), &membership, &mut bed.link)
        .unwrap();
    assert!(bed.link.positions.valid(KafkaPartition(3)).is_none());
    assert!(!bed.link.positions.needs_seek(now()), "it waits");
    let later = now() + FIRST_WAIT;
    assert_eq!(bed.link.positions.needing_seek(|at| at <= later), [start(3, 0, 1)]);
}

#[test]
fn a_partition_is_fetched_again_after_faults_and_leaves_nothing_out() {
    let mut bed = Bed::new();
    bed.fill(0, 5);
    bed.fail_fetches(&[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_MSG; 3]);
    assign(&mut bed, start(0, 0, 1));
    let sent = poll_until(&mut bed, |event| {
        matches!(event, SourceEvent::Position { next: Offset(5), .. })
    });
    let [SourceEvent::Records(batch), SourceEvent::Position { .. }] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(
        (batch.first_offset(), batch.last_offset(), batch.len()),
        (Some(Offset(0)), Some(Offset(4)), 5)
    );
    assert!(batch.leader_epoch.is_some());
}

#[test]
fn a_partition_that_cannot_be_fetched_ends_the_source_with_its_place() {
    let mut bed = Bed::new();
    bed.fail_fetches(&[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_MSG; 99]);
    assign(&mut bed, start(2, 0, 1));
    let sent = poll_until(&mut bed, |event| matches!(event, SourceEvent::Failed { .. }));
    let [.., SourceEvent::Failed { problem }] = &sent[..] else { panic!("{sent:?}") };
    assert!(problem.starts_with("topic records, partition 2, offset 0: "), "{problem}");
}

/// A log of three records of the first leader and three of the next, and what the engine is asked of a partition that is
/// assigned at `offset`, as if more records of the first leader had been read.
fn asked_at(offset: i64) -> Vec<SourceEvent> {
    let mut bed = Bed::new();
    bed.fill(0, 3);
    assign(&mut bed, start(0, 0, 1));
    let sent = poll_until(&mut bed, |event| matches!(event, SourceEvent::Records(_)));
    let [SourceEvent::Records(batch), ..] = &sent[..] else { panic!("{sent:?}") };
    let start = Start { leader_epoch: batch.leader_epoch, ..start(0, offset, 2) };
    bed.elect(0);
    bed.fill(0, 3);
    bed.link.begin_elsewhere(start);
    let engine = bed.engine(2, |event| {
        if let SourceEvent::Assigned { partitions, reply } = event {
            // Nobody goes on.
            drop(reply);
            return SourceEvent::Assigned { partitions, reply: tokio::sync::oneshot::channel().0 };
        }
        event
    });
    let (membership, mut seeker) = (Membership::new(Arc::default()), Seeker::default());
    let records = bed.link.client.records();
    bed.wait_for(|link| {
        link.client.serve(link.positions.ids().into_iter());
        let _ = seeker.seek(link);
        records.serve(Duration::from_millis(20), |message| {
            let done = match message {
                Message::Record(record) => link.accept(&record),
                Message::End { partition, next_offset } => {
                    link.report_end(KafkaPartition(partition), Offset(next_offset))
                }
                Message::Fault(found) => handle(&found, KafkaPartition(0), &membership, link),
            };
            done.map_or(ControlFlow::Break(()), ControlFlow::Continue)
        });
        engine.is_finished().then_some(())
    });
    bed.wait(engine)
}

#[test]
fn a_position_in_a_log_that_was_cut_below_it_and_has_grown_again_is_asked_about_anew() {
    let asked = asked_at(5);
    let [SourceEvent::Lost { .. }, SourceEvent::Assigned { partitions, .. }] = &asked[..] else {
        panic!("{asked:?}")
    };
    let cut = partitions[0].truncation.unwrap();
    assert_eq!((cut.position, cut.end), (Offset(5), Some(Offset(3))));
}

#[test]
fn a_position_that_a_new_leader_still_has_is_gone_on_from() {
    let asked = asked_at(3);
    let [SourceEvent::Records(batch), ..] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(batch.first_offset(), Some(Offset(3)));
}

#[test]
fn a_position_that_kafka_has_and_refuses_for_no_known_reason_ends_the_source_after_some_tries() {
    let mut bed = Bed::new();
    bed.fill(0, 5);
    bed.link.positions.begin(start(0, 3, 1), now());
    let membership = Membership::new(Arc::default());
    let refused = Fault { partition: Some(0), ..fault(RDKafkaErrorCode::AutoOffsetReset) };
    for _ in 0..=TRIES {
        assert!(bed.sent().is_empty());
        bed.link.positions.validate(KafkaPartition(0));
        handle(&refused, KafkaPartition(0), &membership, &mut bed.link).unwrap();
    }
    let sent = bed.sent();
    let [SourceEvent::Failed { problem }] = &sent[..] else { panic!("{sent:?}") };
    assert!(problem.starts_with("topic records, partition 0, offset 3: "), "{problem}");
}
