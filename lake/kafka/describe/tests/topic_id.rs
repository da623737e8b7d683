//! Ids of topics, asked of librdkafka's mock cluster.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use lake_kafka_describe::topic_id;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;

const TIMEOUT: Duration = Duration::from_secs(30);

fn consumer(brokers: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "test").create().unwrap()
}

#[test]
fn each_topic_has_an_id_of_its_own_and_keeps_it() {
    let cluster = MockCluster::new(1).unwrap();
    let names = ["one", "other"];
    names.iter().for_each(|name| cluster.create_topic(name, 1, 1).unwrap());
    let ask = |name: &str| {
        let consumer = consumer(&cluster.bootstrap_servers());
        topic_id(consumer.client(), name, TIMEOUT).unwrap()
    };
    let (one, other) = (ask("one"), ask("other"));
    assert_eq!(one.as_ref().map(String::len), Some(22), "16 bytes in base64: {one:?}");
    assert_ne!(one, other);
    assert_eq!(ask("one"), one);
}

#[test]
fn a_broker_that_does_not_answer_is_an_error_and_no_topic_without_an_id() {
    let consumer = consumer("127.0.0.1:1");
    let error = topic_id(consumer.client(), "one", Duration::from_millis(100)).unwrap_err();
    assert!(matches!(error, KafkaError::MetadataFetch(_)), "{error}");
}

#[test]
fn a_topic_that_is_not_there_is_named_as_the_fault() {
    let cluster = MockCluster::new(1).unwrap();
    let consumer = consumer(&cluster.bootstrap_servers());
    let error = topic_id(consumer.client(), "none", TIMEOUT).unwrap_err();
    assert!(
        matches!(error, KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition)),
        "{error}"
    );
}
