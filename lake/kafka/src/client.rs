//! Configurations of librdkafka's clients: the user's `kafka.properties`, then what this product depends on, which
//! the settings refuse to override.

use lake_config::Kafka;
use rdkafka::ClientConfig;

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
