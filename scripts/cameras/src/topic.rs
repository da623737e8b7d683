//! The topic: found, or made if it is missing.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::cli::TimestampType;
use crate::error::SimulatorError;
use crate::sink::{Quiet, unusable_properties};

/// What a new topic is like. It keeps records for ever: those of a simulated past day are old from the
/// start, and the usual retention would delete them at once.
#[derive(Clone, Debug)]
pub struct NewTopicSpec<'a> {
    /// Its name.
    pub name: &'a str,
    /// Number of partitions.
    pub partitions: u16,
    /// Whose clock the timestamps of records come from.
    pub timestamps: TimestampType,
}

/// Makes the topic unless it is there.
///
/// # Errors
/// Brokers that do not answer within `timeout`, or refuse.
pub fn ensure(
    config: &ClientConfig,
    topic: &NewTopicSpec<'_>,
    brokers: &str,
    timeout: Duration,
) -> Result<(), SimulatorError> {
    let failed = |action: &str, source, remedy| {
        SimulatorError::kafka(format!("{action} topic {:?}", topic.name), brokers, source, remedy)
    };
    let exists = exists(config, topic.name, timeout).map_err(|error| match error {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => unusable_properties(&error),
        source => failed(
            "look up",
            source,
            "check kafka.brokers (--brokers), the network and kafka.properties",
        ),
    })?;
    if exists {
        return Ok(());
    }
    tracing::info!(topic = topic.name, partitions = topic.partitions, "making the topic");
    create(config, topic, timeout).map_err(|source| {
        failed("create", source, "make it by hand, with retention.ms=-1, or allow this client to")
    })
}

/// Whether the brokers know the topic. A consumer asks, as a producer would make it by asking.
fn exists(config: &ClientConfig, name: &str, timeout: Duration) -> Result<bool, KafkaError> {
    let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
    let metadata = consumer.fetch_metadata(Some(name), timeout)?;
    let error = metadata.topics().first().and_then(|topic| topic.error());
    match error.map(RDKafkaErrorCode::from) {
        None => Ok(!metadata.topics().is_empty()),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            Ok(false)
        }
        Some(code) => Err(KafkaError::MetadataFetch(code)),
    }
}

fn create(
    config: &ClientConfig,
    topic: &NewTopicSpec<'_>,
    timeout: Duration,
) -> Result<(), KafkaError> {
    let admin: AdminClient<Quiet> = AdminClient::from_config_and_context(config, Quiet)?;
    let timestamps = match topic.timestamps {
        TimestampType::Create => "CreateTime",
        TimestampType::LogAppend => "LogAppendTime",
    };
    // -1 is the brokers' own replication factor.
    let replication = TopicReplication::Fixed(-1);
    let spec = NewTopic::new(topic.name, i32::from(topic.partitions), replication)
        .set("retention.ms", "-1")
        .set("message.timestamp.type", timestamps);
    let options =
        AdminOptions::new().operation_timeout(Some(timeout)).request_timeout(Some(timeout));
    let results = futures::executor::block_on(admin.create_topics([&spec], &options))?;
    match results.into_iter().next() {
        // Someone else was faster.
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
        _ => Ok(()),
    }
}
