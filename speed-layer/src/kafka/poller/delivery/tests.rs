//! What is delivered to the engine, and when.

#![allow(clippy::unwrap_used)]

use crate::kafka::poller::link::Link;
use crate::kafka::poller::test_bed::{Bed, SHORT, start};

use super::*;

const GARBAGE: &[u8] = &[b'x'; 1000];

fn record(partition: i32, offset: i64) -> Record<'static> {
    let timestamp = message::Timestamp::LogAppendTime(7);
    Record { partition, offset, timestamp, key: None, payload: Some(GARBAGE), leader_epoch: None }
}

/// Accepts records with offsets from `first` on.
fn accept(link: &mut Link, partition: i32, first: i64, count: i64) {
    for offset in first..first + count {
        link.accept(&record(partition, offset)).unwrap();
    }
}

/// What was sent, in short: offsets of records, positions and ends.
fn sent(bed: &mut Bed) -> Vec<String> {
    let describe = |event: SourceEvent| match event {
        SourceEvent::Records(batch) => {
            let (partition, epoch) = (batch.partition, batch.epoch);
            let (_, letters) = batch.into_parts();
            let offsets: Vec<i64> = letters.iter().map(|letter| letter.kafka_offset.0).collect();
            format!("records {partition} {epoch} {offsets:?}")
        }
        SourceEvent::Position { partition, epoch, next, .. } => {
            format!("position {partition} {epoch} {next}")
        }
        other => panic!("{other:?}"),
    };
    bed.sent().into_iter().map(describe).collect()
}

#[test]
fn records_wait_for_a_flush_which_sends_each_partition_s_own_once() {
    let mut bed = Bed::new();
    bed.link.positions.begin(start(0, 0, 4), now());
    bed.link.positions.begin(start(1, 5, 6), now());
    accept(&mut bed.link, 0, 0, 2);
    accept(&mut bed.link, 1, 5, 1);
    assert!(sent(&mut bed).is_empty());
    bed.link.flush().unwrap();
    assert_eq!(sent(&mut bed), ["records 0 4 [0, 1]", "records 1 6 [5]"]);
    assert_eq!(bed.positions(), [(0, 2), (1, 6)]);
    bed.link.flush().unwrap();
    assert!(sent(&mut bed).is_empty());
}

#[test]
fn a_batch_that_is_full_is_sent_at_once_and_others_wait() {
    let mut bed = Bed::new();
    bed.link.positions.begin(start(0, 0, 1), now());
    bed.link.positions.begin(start(1, 0, 1), now());
    accept(&mut bed.link, 1, 0, 1);
    let enough = (BATCH_BYTES / GARBAGE.len()) as i64 + 1;
    accept(&mut bed.link, 0, 0, enough);
    let sent = sent(&mut bed);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].starts_with("records 0 1 [0, 1, "), "{}", sent[0]);
}

#[test]
fn nothing_of_a_partition_that_needs_a_seek_or_is_not_assigned_is_delivered() {
    let mut bed = Bed::new();
    bed.link.positions.begin(start(0, 0, 1), now());
    bed.link.positions.invalidate_all(now());
    accept(&mut bed.link, 0, 0, 1);
    accept(&mut bed.link, 3, 0, 1);
    bed.link.report_end(KafkaPartition(0), Offset(9)).unwrap();
    bed.link.flush().unwrap();
    assert!(sent(&mut bed).is_empty());
    bed.link.positions.validate(KafkaPartition(0));
    accept(&mut bed.link, 0, 0, 1);
    bed.link.flush().unwrap();
    assert_eq!(sent(&mut bed), ["records 0 1 [0]"]);
}

#[test]
fn an_end_comes_after_the_records_before_it_with_the_offsets_that_no_record_has() {
    let mut bed = Bed::new();
    bed.link.positions.begin(start(0, 0, 1), now());
    accept(&mut bed.link, 0, 0, 2);
    bed.link.report_end(KafkaPartition(0), Offset(2)).unwrap();
    assert_eq!(sent(&mut bed), ["records 0 1 [0, 1]", "position 0 1 2"]);
    // A transaction's marker is at offset 2.
    bed.link.report_end(KafkaPartition(0), Offset(3)).unwrap();
    assert_eq!(sent(&mut bed), ["position 0 1 3"]);
    assert_eq!(bed.positions(), [(0, 3)]);
}

#[test]
fn a_flush_after_a_wait_is_none_before_the_wait_is_over() {
    let mut bed = Bed::new();
    bed.link.positions.begin(start(0, 0, 1), now());
    accept(&mut bed.link, 0, 0, 1);
    bed.link.flush_after(Duration::from_secs(3600)).unwrap();
    assert!(sent(&mut bed).is_empty());
    bed.link.flush_after(Duration::ZERO).unwrap();
    assert_eq!(sent(&mut bed), ["records 0 1 [0]"]);
}

#[test]
fn while_the_engine_is_behind_sending_waits_and_what_comes_after_the_pause_needs_a_seek() {
    let mut bed = Bed::with_room_for(1);
    bed.link.positions.begin(start(0, 0, 1), now());
    accept(&mut bed.link, 0, 0, 1);
    bed.link.flush().unwrap();
    accept(&mut bed.link, 0, 1, 1);
    // Longer than the thread waits without a pause.
    let engine = bed.engine_after(SHORT.engine * 3 / 2, 2, |event| match event {
        SourceEvent::Records(batch) => batch.into_parts().1[0].kafka_offset,
        other => panic!("{other:?}"),
    });
    bed.link.flush().unwrap();
    assert_eq!(bed.wait(engine), [Offset(0), Offset(1)]);
    assert_eq!(bed.link.positions.needing_seek(|_| true), [start(0, 2, 1)]);
}

#[test]
fn a_short_wait_for_the_engine_pauses_nothing() {
    let mut bed = Bed::with_room_for(1);
    bed.link.positions.begin(start(0, 0, 1), now());
    accept(&mut bed.link, 0, 0, 1);
    bed.link.flush().unwrap();
    accept(&mut bed.link, 0, 1, 1);
    let engine = bed.engine_after(SHORT.engine / 20, 2, |_| ());
    bed.link.flush().unwrap();
    bed.wait(engine);
    assert!(bed.link.positions.valid(KafkaPartition(0)).is_some());
}

#[test]
fn sending_to_an_engine_that_is_gone_ends_the_thread() {
    let mut bed = Bed::new();
    bed.link.positions.begin(start(0, 0, 1), now());
    accept(&mut bed.link, 0, 0, 1);
    bed.close();
    assert_eq!(bed.link.flush(), Err(Ended));
}
