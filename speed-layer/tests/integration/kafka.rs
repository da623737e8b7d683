//! The source of records on librdkafka's in-process broker.

use std::time::Duration;

use lake_config::Settings;
use lake_model::{KafkaPartition, Offset};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use speed_layer::kafka::KafkaSource;
use speed_layer::source::{Source, SourceEvent, Start};

const TOPIC: &str = "records";
/// More than any of these tests waits.
const LONG: Duration = Duration::from_secs(60);

/// Puts so many records into the topic, none of which is an event.
fn fill(brokers: &str, records: usize) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let producer: BaseProducer = config.create().unwrap();
    for _ in 0..records {
        let record = BaseRecord::to(TOPIC).partition(0).key("key").payload("no event");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LONG).unwrap();
}

/// The epoch and the first offset of every batch until the partition's end comes, each assignment starting as told.
async fn until_the_end(source: &mut KafkaSource, start: Start) -> Vec<(u64, i64)> {
    let mut batches = Vec::new();
    loop {
        match tokio::time::timeout(LONG, source.next()).await.expect("the source goes on") {
            SourceEvent::Assigned { reply, .. } => reply.send(vec![start]).unwrap(),
            SourceEvent::Records(batch) => {
                let epoch = batch.epoch;
                let (_, letters) = batch.into_parts();
                batches.push((epoch, letters[0].kafka_offset.0));
            }
            SourceEvent::Position { .. } => return batches,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seek_of_an_earlier_assignment_is_passed_over_and_one_of_this_is_made() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    fill(&brokers, 100);
    let mut settings = Settings::default();
    settings.kafka.brokers.clone_from(&brokers);
    settings.kafka.topic = TOPIC.to_owned();
    let mut source = KafkaSource::start(&settings, "readers").unwrap();
    let start = |offset, epoch| Start {
        partition: KafkaPartition(0),
        offset: Offset(offset),
        epoch,
        leader_epoch: None,
    };
    assert_eq!(until_the_end(&mut source, start(0, 2)).await[0], (2, 0));
    source.seek(start(10, 1));
    fill(&brokers, 1);
    assert_eq!(until_the_end(&mut source, start(0, 2)).await, [(2, 100)]);
    source.seek(start(50, 3));
    assert_eq!(until_the_end(&mut source, start(0, 2)).await[0], (3, 50));
    source.close().await;
}
