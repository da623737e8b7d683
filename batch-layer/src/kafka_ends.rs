//! How far the partitions of the topic reach: what Kafka still has, and where a reader of committed records
//! has to stop.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lake::Settings;
use lake_model::OffsetRange;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The extent of a topic's log.
#[async_trait]
pub trait LogEnds: Send + Sync {
    /// Of each partition the first offset that Kafka still has and the last stable offset.
    ///
    /// # Errors
    /// Kafka did not answer in time, or has no such topic.
    async fn ends(&self) -> Result<BTreeMap<i32, OffsetRange>, KafkaEndsError>;
}

/// Kafka did not say how far its partitions reach.
#[derive(Debug, thiserror::Error)]
#[error("{action} (kafka.brokers = {brokers}): {source}")]
pub struct KafkaEndsError {
    action: String,
    brokers: String,
    source: Box<KafkaError>,
}

/// The topic that the settings name, on its brokers.
#[derive(Clone, Debug)]
pub struct KafkaEnds {
    settings: Settings,
}

impl KafkaEnds {
    /// The topic that `settings` name. Nothing is asked yet.
    pub fn new(settings: &Settings) -> KafkaEnds {
        KafkaEnds { settings: settings.clone() }
    }

    fn failed(&self, action: String) -> impl FnOnce(KafkaError) -> KafkaEndsError {
        let brokers = self.settings.kafka.brokers.clone();
        move |source| KafkaEndsError { action, brokers, source: Box::new(source) }
    }

    fn consumer(&self) -> Result<BaseConsumer, KafkaEndsError> {
        let mut config = ClientConfig::new();
        for (key, value) in &self.settings.kafka.properties {
            config.set(key, value);
        }
        config
            .set("bootstrap.servers", &self.settings.kafka.brokers)
            .set("group.id", &self.settings.kafka.group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .create()
            .map_err(self.failed("create a consumer".to_owned()))
    }

    /// Asks, and blocks for as long as `kafka.request_timeout` per request.
    fn ask(&self) -> Result<BTreeMap<i32, OffsetRange>, KafkaEndsError> {
        let topic = &self.settings.kafka.topic;
        let timeout = self.settings.kafka.request_timeout;
        let consumer = self.consumer()?;
        let metadata = consumer
            .fetch_metadata(Some(topic), timeout)
            .map_err(self.failed(format!("ask for the partitions of topic {topic}")))?;
        let found = metadata.topics().first().filter(|found| !found.partitions().is_empty());
        let missing = format!("find topic {topic}; create it or correct kafka.topic");
        let found = found.ok_or_else(|| {
            self.failed(missing)(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic))
        })?;
        let mut ends = BTreeMap::new();
        for partition in found.partitions().iter().map(|partition| partition.id()) {
            let action = format!("ask how far partition {partition} of topic {topic} reaches");
            let (low, end) = consumer
                .fetch_watermarks(topic, partition, timeout)
                .map_err(self.failed(action))?;
            ends.insert(partition, OffsetRange::new(low, end));
        }
        Ok(ends)
    }
}

#[async_trait]
impl LogEnds for KafkaEnds {
    async fn ends(&self) -> Result<BTreeMap<i32, OffsetRange>, KafkaEndsError> {
        let asking = self.clone();
        let asked = tokio::task::spawn_blocking(move || asking.ask()).await;
        asked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
