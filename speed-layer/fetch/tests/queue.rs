//! The queue of records beside a consumer of librdkafka's in-process broker.
#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::message::Timestamp;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use speed_layer_fetch::leader_epoch::{self, set_leader_epoch};
use speed_layer_fetch::{Fault, Message, Record, RecordQueue};

const TOPIC: &str = "records";
/// More than any of these tests waits.
const LONG: Duration = Duration::from_secs(30);

/// A topic of two partitions, each with records of the keys `0` to `99`, and a consumer of it.
struct Bed {
    cluster: MockCluster<'static, DefaultProducerContext>,
    consumer: Arc<BaseConsumer>,
    records: RecordQueue<DefaultConsumerContext>,
}

/// What came of one partition: keys, and where it ended.
#[derive(Debug, Default, PartialEq)]
struct Came {
    offsets: Vec<i64>,
    keys: Vec<String>,
    end: Option<i64>,
}

impl Came {
    fn take(&mut self, record: &Record<'_>) {
        self.offsets.push(record.offset);
        self.keys.extend(record.key.map(|key| str::from_utf8(key).unwrap().to_owned()));
        assert_eq!(record.payload, Some(&b"value"[..]));
        assert_eq!(record.timestamp, Timestamp::CreateTime(7));
    }
}

impl Bed {
    fn new() -> Bed {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 2, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: BaseProducer = config.create().unwrap();
        for number in 0..200 {
            let key = (number / 2).to_string();
            let record = BaseRecord::to(TOPIC).partition(number % 2).key(&key).timestamp(7);
            producer.send(record.payload("value")).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LONG).unwrap();
        config.set("group.id", "readers").set("enable.partition.eof", "true");
        config.set("enable.auto.commit", "false").set("auto.offset.reset", "error");
        let consumer: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
        let records = RecordQueue::new(Arc::clone(&consumer));
        Bed { cluster, consumer, records }
    }

    /// Assigns partitions from these offsets on, as their owner does: routed first.
    fn assign(&self, starts: &[(i32, i64)]) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in starts {
            self.records.route(TOPIC, *partition);
            list.add_partition_offset(TOPIC, *partition, Offset::Offset(*offset)).unwrap();
        }
        self.consumer.assign(&list).unwrap();
    }

    /// Takes records, breaking off after every `most`, until these partitions have ended; routes them again and again
    /// meanwhile.
    fn read<const N: usize>(&self, partitions: [i32; N], most: usize) -> [Came; N] {
        let mut came = [(); N].map(|()| Came::default());
        let place = |partition| partitions.iter().position(|other| *other == partition).unwrap();
        for _ in 0..1000 {
            assert!(self.consumer.poll(Duration::ZERO).is_none(), "it passed the queue by");
            partitions.iter().for_each(|partition| self.records.route(TOPIC, *partition));
            let mut left = most;
            self.records.serve(Duration::from_millis(30), |message| {
                match message {
                    Message::Record(record) => came[place(record.partition)].take(&record),
                    Message::End { partition, next_offset } => {
                        came[place(partition)].end = Some(next_offset);
                    }
                    Message::Fault(fault) => panic!("{fault:?}"),
                }
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if came.iter().all(|came| came.end.is_some()) {
                return came;
            }
        }
        panic!("partitions did not end: {came:?}");
    }
}

fn whole_from(first: i64) -> Came {
    Came {
        offsets: (first..100).collect(),
        keys: (first..100).map(|key| key.to_string()).collect(),
        end: Some(100),
    }
}

#[test]
fn records_of_routed_partitions_come_in_order_however_often_it_is_broken_off() {
    for most in [1, 7, 1000] {
        let bed = Bed::new();
        bed.assign(&[(0, 0), (1, 40)]);
        assert_eq!(
            bed.read([0, 1], most),
            [whole_from(0), whole_from(40)],
            "breaking off every {most}"
        );
    }
}

#[test]
fn a_partition_taken_away_and_given_again_goes_on_where_it_is_told() {
    let bed = Bed::new();
    bed.assign(&[(0, 0), (1, 0)]);
    bed.read([0, 1], 1000);
    for first in [10, 20, 30] {
        bed.consumer.unassign().unwrap();
        bed.assign(&[(1, first)]);
        assert_eq!(bed.read([1], 1000), [whole_from(first)]);
    }
}

#[test]
fn after_a_seek_come_the_records_from_there_and_no_others() {
    let bed = Bed::new();
    bed.assign(&[(0, 0)]);
    bed.read([0], 1000);
    bed.consumer.seek(TOPIC, 0, Offset::Offset(60), LONG).unwrap();
    assert_eq!(bed.read([0], 1000), [whole_from(60)]);
}

#[test]
fn a_record_may_have_neither_key_nor_payload() {
    let bed = Bed::new();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bed.cluster.bootstrap_servers());
    let producer: BaseProducer = config.create().unwrap();
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC).partition(0);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(LONG).unwrap();
    bed.assign(&[(0, 100)]);
    let mut came = Vec::new();
    while came.is_empty() {
        bed.records.serve(LONG, |message| {
            let Message::Record(record) = message else { panic!("{message:?}") };
            came.push((record.offset, record.key.is_some(), record.payload.is_some()));
            ControlFlow::Break(())
        });
    }
    assert_eq!(came, [(100, false, false)]);
}

#[test]
fn records_taken_before_a_seek_of_the_handler_are_not_handed_over() {
    let bed = Bed::new();
    bed.assign(&[(0, 0)]);
    let mut offsets = Vec::new();
    while offsets.len() < 20 {
        bed.records.serve(LONG, |record| {
            let Message::Record(record) = record else { return ControlFlow::Continue(()) };
            offsets.push(record.offset);
            if offsets.len() == 10 {
                bed.consumer.seek(TOPIC, 0, Offset::Offset(50), LONG).unwrap();
            }
            ControlFlow::Continue(())
        });
    }
    let expected: Vec<i64> = (0..10).chain(50..60).collect();
    assert_eq!(offsets[..20], expected);
}

#[test]
#[should_panic(expected = "the handler's own")]
fn a_panic_of_the_handler_goes_on_in_its_caller() {
    let bed = Bed::new();
    bed.assign(&[(0, 0)]);
    for _ in 0..1000 {
        bed.records.serve(LONG, |_| panic!("the handler's own"));
    }
}

/// Ten more records of partition 0, of the next leader.
fn more_by_the_next_leader(bed: &Bed) {
    bed.cluster.partition_leader(TOPIC, 0, Some(1)).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bed.cluster.bootstrap_servers());
    let producer: BaseProducer = config.create().unwrap();
    for _ in 0..10 {
        let record = BaseRecord::to(TOPIC).partition(0).key("key").payload("value");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LONG).unwrap();
}

/// Waits for the first thing that is not a record, or for `most` records.
fn records_or_fault(bed: &Bed, most: usize) -> (Vec<(i64, Option<i32>)>, Option<Fault>) {
    let (mut records, mut fault) = (Vec::new(), None);
    for _ in 0..1000 {
        bed.records.route(TOPIC, 0);
        bed.records.serve(Duration::from_millis(30), |message| {
            match message {
                Message::Record(record) => records.push((record.offset, record.leader_epoch)),
                Message::Fault(found) => fault = Some(found),
                Message::End { .. } => {}
            }
            ControlFlow::Continue(())
        });
        if fault.is_some() || records.len() >= most {
            break;
        }
    }
    (records, fault)
}

/// Seeks to `offset`, before which a record of the leader's epoch was read.
fn seek(bed: &Bed, offset: i64, leader_epoch: Option<i32>) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, Offset::Offset(offset)).unwrap();
    if let Some(leader_epoch) = leader_epoch {
        set_leader_epoch(&mut list, TOPIC, 0, leader_epoch);
        set_leader_epoch(&mut list, TOPIC, 7, leader_epoch);
    }
    let answers = bed.consumer.seek_partitions(list, LONG).unwrap();
    assert_eq!(answers.elements()[0].error(), Ok(()));
}

#[test]
fn records_and_positions_have_the_epoch_of_the_leader_that_appended_them() {
    let bed = Bed::new();
    more_by_the_next_leader(&bed);
    bed.assign(&[(0, 99)]);
    assert_eq!(leader_epoch::position(&bed.consumer, TOPIC, 0), None);
    let (records, _) = records_or_fault(&bed, 11);
    let first = records[0].1.unwrap();
    assert_eq!(records[..2], [(99, Some(first)), (100, Some(first + 1))]);
    assert_eq!(leader_epoch::position(&bed.consumer, TOPIC, 0), Some((110, first + 1)));
}

#[test]
fn a_log_that_was_cut_below_the_position_and_has_grown_again_is_a_fault_of_a_seek_with_the_epoch() {
    let bed = Bed::new();
    bed.assign(&[(0, 99)]);
    let (records, _) = records_or_fault(&bed, 1);
    let first = records[0].1;
    more_by_the_next_leader(&bed);
    // Whoever had read six records more of the old leader would go on at 106.
    seek(&bed, 106, first);
    let (records, fault) = records_or_fault(&bed, usize::MAX);
    let fault = fault.expect("the position is validated");
    assert_eq!((fault.partition, &records[..]), (Some(0), &[][..]));
    assert!(fault.reason.contains("broker end offset is 100"), "{}", fault.reason);
}
