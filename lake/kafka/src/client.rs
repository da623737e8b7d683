//! Configurations of librdkafka's clients: the user's `kafka.properties`, then what this product depends on, which
//! the settings refuse to override.

use lake_config::Kafka;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

/// The context of a client that leaves what goes wrong to the one that consumes, which meets the same.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Quiet {}

/// A client of the configured brokers with the user's properties.
pub fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in &kafka.properties {
        config.set(key, value);
    }
    config.set("bootstrap.servers", &kafka.brokers);
    config
}

/// A consumer of committed records that commits no offset by itself.
pub fn consumer(kafka: &Kafka) -> ClientConfig {
    let mut config = client(kafka);
    config
        .set("isolation.level", "read_committed")
        .set("group.id", &kafka.group)
        .set("enable.auto.commit", "false");
    config
}
