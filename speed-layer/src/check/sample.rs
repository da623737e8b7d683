//! The latest records of a topic, read by a consumer that is in no group and commits no offset.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lake_config::Kafka;
use lake_kafka::client::{self, Quiet};
use lake_kafka::{ClientError, partition_bounds};
use lake_model::{KafkaPartition, Offset, Timestamp};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset as Place, TopicPartitionList};

use crate::decode::EventFormat;

/// How long one poll may take.
const POLL: Duration = Duration::from_millis(200);

/// A record as it is in Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledRecord {
    /// Its partition.
    pub partition: KafkaPartition,
    /// Its offset.
    pub offset: Offset,
    /// Its time, by Kafka.
    pub kafka_timestamp: Timestamp,
    /// What it holds.
    pub payload: Option<Vec<u8>>,
}

impl SampledRecord {
    /// What it would become by `format`.
    pub(super) fn decode(
        &self,
        format: &EventFormat,
    ) -> Result<crate::decode::Fields<'_>, crate::decode::Rejection> {
        crate::decode::decode(self.payload.as_deref(), self.kafka_timestamp, format)
    }
}

/// At most `count` of the latest records, about as many of each partition. Blocks, for `kafka.request_timeout` per request.
pub(super) fn latest(kafka: &Kafka, count: usize) -> Result<Vec<SampledRecord>, ClientError> {
    let failed = |action: &str| ClientError::new(kafka, format!("{action} topic {}", kafka.topic));
    let mut config = client::consumer(kafka);
    config.set("enable.partition.eof", "true").set("enable.auto.offset.store", "false");
    let consumer: BaseConsumer<Quiet> =
        config.create_with_context(Quiet).map_err(failed("create a consumer of"))?;
    let ends = ends(&consumer, kafka)?;
    let with_records = ends.iter().filter(|(_, low, high)| low < high).count().max(1);
    let of_each = i64::try_from(count.div_ceil(with_records)).unwrap_or(i64::MAX);
    let mut places = TopicPartitionList::new();
    for (partition, low, high) in ends.iter().filter(|(_, low, high)| low < high) {
        let from = high.0.saturating_sub(of_each).max(low.0);
        places
            .add_partition_offset(&kafka.topic, partition.0, Place::Offset(from))
            .map_err(failed("read"))?;
    }
    let mut waiting: BTreeSet<i32> =
        places.elements().iter().map(|element| element.partition()).collect();
    consumer.assign(&places).map_err(failed("read"))?;
    let mut sampled = Vec::new();
    let mut until = now() + kafka.request_timeout;
    while !waiting.is_empty() && sampled.len() < count && now() < until {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                until = now() + kafka.request_timeout;
                sampled.push(SampledRecord {
                    partition: KafkaPartition(message.partition()),
                    offset: Offset(message.offset()),
                    kafka_timestamp: Timestamp::from_micros(
                        message.timestamp().to_millis().unwrap_or_default().saturating_mul(1000),
                    ),
                    payload: message.payload().map(<[u8]>::to_vec),
                });
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                waiting.remove(&partition);
            }
            Some(Err(error)) if lake_kafka::is_permanent(&error) => {
                return Err(failed("read")(error));
            }
            Some(Err(error)) => tracing::debug!(%error, "reading goes on"),
            None => {}
        }
    }
    if sampled.is_empty() && !waiting.is_empty() {
        let unanswered = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        return Err(failed("read")(unanswered));
    }
    Ok(sampled)
}

/// The partitions, with the first offset and the last stable offset of each.
fn ends(
    consumer: &BaseConsumer<Quiet>,
    kafka: &Kafka,
) -> Result<Vec<(KafkaPartition, Offset, Offset)>, ClientError> {
    let Kafka { topic, request_timeout, .. } = kafka;
    let failed = |action: String| ClientError::new(kafka, action);
    let metadata = consumer
        .fetch_metadata(Some(topic), *request_timeout)
        .map_err(failed(format!("ask for the partitions of topic {topic}")))?;
    let found = metadata.topics().first().filter(|found| !found.partitions().is_empty());
    let found = found.ok_or_else(|| {
        let missing = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic);
        failed(format!("find topic {topic}; create it or correct kafka.topic"))(missing)
    })?;
    let bounds = |partition: KafkaPartition| {
        let bounds = partition_bounds(consumer, topic, partition, *request_timeout, || false);
        let bounds =
            bounds.map_err(failed(format!("ask how far partition {partition} reaches")))?;
        Ok((partition, bounds.first, bounds.next))
    };
    found.partitions().iter().map(|found| bounds(KafkaPartition(found.id()))).collect()
}

#[expect(clippy::disallowed_methods, reason = "waiting for Kafka is at the product's edge to it")]
fn now() -> Instant {
    Instant::now()
}
