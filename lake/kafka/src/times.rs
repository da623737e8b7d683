//! Where in a topic's partitions the records of a time begin.
//!
//! The times are Kafka's: those of the broker if the topic has `LogAppendTime`, and otherwise those that producers gave, in
//! whatever order.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lake_model::{KafkaPartition, Offset, Timestamp};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use crate::client::{self, Remembering};
use crate::ends::{TopicEnds, cause_of};
use crate::error::ClientError;

/// Where the records of a time begin.
#[async_trait]
pub trait LogTimes: Send + Sync {
    /// The offset of the first record of each of the partitions whose timestamp is `at` or later. A partition without such a
    /// record is absent.
    ///
    /// # Errors
    /// Kafka did not answer in time.
    async fn first_since(
        &self,
        at: Timestamp,
        partitions: Vec<KafkaPartition>,
    ) -> Result<BTreeMap<KafkaPartition, Offset>, ClientError>;
}

#[async_trait]
impl LogTimes for TopicEnds {
    async fn first_since(
        &self,
        at: Timestamp,
        partitions: Vec<KafkaPartition>,
    ) -> Result<BTreeMap<KafkaPartition, Offset>, ClientError> {
        self.blocking(move |topic| topic.ask_for_times(at, &partitions)).await
    }
}

impl TopicEnds {
    /// Asks, and blocks for as long as `kafka.request_timeout`.
    fn ask_for_times(
        &self,
        at: Timestamp,
        partitions: &[KafkaPartition],
    ) -> Result<BTreeMap<KafkaPartition, Offset>, ClientError> {
        let kafka = self.kafka();
        let asking = format!("ask topic {} for the first records since {at}", kafka.topic);
        let failed = |error: KafkaError| ClientError::new(kafka, asking.clone())(error);
        let config = client::consumer(kafka);
        let consumer: BaseConsumer<Remembering> =
            config.create_with_context(Remembering::default()).map_err(failed)?;
        let millis = rdkafka::Offset::Offset(at.micros().div_euclid(1000).max(0));
        let mut asked = TopicPartitionList::new();
        for partition in partitions {
            asked.add_partition_offset(&kafka.topic, partition.0, millis).map_err(failed)?;
        }
        let answers = consumer
            .offsets_for_times(asked, kafka.request_timeout)
            .map_err(|error| failed(error).because(cause_of(&consumer)))?;
        let mut found = BTreeMap::new();
        for answer in answers.elements() {
            answer.error().map_err(failed)?;
            if let rdkafka::Offset::Offset(offset) = answer.offset() {
                found.insert(KafkaPartition(answer.partition()), Offset(offset));
            }
        }
        Ok(found)
    }
}
