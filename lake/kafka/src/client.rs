//! Configurations of librdkafka's clients: the user's `kafka.properties`, then what this product depends on, which
//! the settings refuse to override.

use std::sync::{Mutex, PoisonError};

use lake_config::Kafka;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The group of a consumer that joins none: librdkafka wants a name all the same. It has the prefix of the default groups, for
/// which the client has rights.
pub const NO_GROUP: &str = "lambdalake-no-group";

/// The context of a client that leaves what goes wrong to the one that consumes, which meets the same.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Quiet {}

/// The context of a client that logs nothing and remembers what its connections failed with last, for the error of
/// whatever it is asked.
#[derive(Debug, Default)]
pub struct Remembering {
    cause: Mutex<Option<String>>,
}

impl Remembering {
    /// What a connection failed with since this was last asked.
    pub fn cause(&self) -> Option<String> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Remembering {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        // That all brokers are down says less than why the last one is.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
            *cause = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Remembering {}

/// A client of the configured brokers with the user's properties.
pub fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in &kafka.properties {
        config.set(key, value);
    }
    config.set("bootstrap.servers", &kafka.brokers);
    config
}

/// A consumer of committed records that joins no group. Where a group is set it is named, because the client may have rights
/// on no other.
pub fn consumer(kafka: &Kafka) -> ClientConfig {
    group_consumer(kafka, kafka.group.as_deref().unwrap_or(NO_GROUP))
}

/// A consumer of committed records for the group called `group`; it commits no offset by itself.
pub fn group_consumer(kafka: &Kafka, group: &str) -> ClientConfig {
    let mut config = client(kafka);
    config
        .set("isolation.level", "read_committed")
        .set("group.id", group)
        .set("enable.auto.commit", "false");
    config
}
