//! How far the partitions of a topic reach: the first offset that Kafka still has of each, and the last stable offset,
//! where a reader of committed records has to stop.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lake_config::Kafka;
use lake_model::{KafkaPartition, OffsetRange};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::bounds::partition_bounds;
use crate::client;
use crate::error::ClientError;

/// The extent of a topic's log.
#[async_trait]
pub trait LogEnds: Send + Sync {
    /// Of each partition the first offset that Kafka still has and the last stable offset.
    ///
    /// # Errors
    /// Kafka did not answer in time, or has no such topic.
    async fn ends(&self) -> Result<BTreeMap<KafkaPartition, OffsetRange>, ClientError>;
}

/// The topic that the settings name, on its brokers.
#[derive(Clone, Debug)]
pub struct TopicEnds {
    kafka: Kafka,
}

impl TopicEnds {
    /// The topic that `kafka` names. Nothing is asked yet.
    pub fn new(kafka: &Kafka) -> TopicEnds {
        TopicEnds { kafka: kafka.clone() }
    }

    /// Asks, and blocks for as long as `kafka.request_timeout` per request, and longer while a partition has no leader.
    fn ask(&self) -> Result<BTreeMap<KafkaPartition, OffsetRange>, ClientError> {
        let Kafka { topic, request_timeout, .. } = &self.kafka;
        let failed = |action: String| ClientError::new(&self.kafka, action);
        let consumer: BaseConsumer = client::consumer(&self.kafka)
            .create()
            .map_err(failed("create a consumer".to_owned()))?;
        let metadata = consumer
            .fetch_metadata(Some(topic), *request_timeout)
            .map_err(failed(format!("ask for the partitions of topic {topic}")))?;
        let found = metadata.topics().first().filter(|found| !found.partitions().is_empty());
        let found = found.ok_or_else(|| {
            let missing = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic);
            failed(format!("find topic {topic}; create it or correct kafka.topic"))(missing)
        })?;
        let mut ends = BTreeMap::new();
        for partition in found.partitions().iter().map(|partition| KafkaPartition(partition.id())) {
            let bounds = partition_bounds(&consumer, topic, partition, *request_timeout, || false);
            let asking = format!("ask how far partition {partition} of topic {topic} reaches");
            ends.insert(partition, bounds.map_err(failed(asking))?);
        }
        Ok(ends)
    }
}

#[async_trait]
impl LogEnds for TopicEnds {
    async fn ends(&self) -> Result<BTreeMap<KafkaPartition, OffsetRange>, ClientError> {
        let asking = self.clone();
        let asked = tokio::task::spawn_blocking(move || asking.ask()).await;
        asked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
