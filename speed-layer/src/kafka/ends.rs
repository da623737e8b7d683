//! The ends of the topic: the last stable offset of each partition.

use std::collections::BTreeMap;

use lake::Settings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::bounds::bounds_of;
use super::{SourceError, config};

/// The last stable offset of every partition of the topic. Blocks for as long as `kafka.request_timeout`
/// per request, and longer while a partition has no leader.
pub fn end_offsets(settings: &Settings) -> Result<BTreeMap<i32, i64>, SourceError> {
    let topic = &settings.kafka.topic;
    let timeout = settings.kafka.request_timeout;
    let failed = |action: String| SourceError::new(settings, action);
    let consumer: BaseConsumer =
        config::client(settings).create().map_err(failed("create a consumer".to_owned()))?;
    let metadata = consumer
        .fetch_metadata(Some(topic), timeout)
        .map_err(failed(format!("ask for the partitions of topic {topic}")))?;
    let found = metadata.topics().first().filter(|found| !found.partitions().is_empty());
    let found = found.ok_or_else(|| {
        let missing = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic);
        failed(format!("find topic {topic}; create it or correct kafka.topic"))(missing)
    })?;
    let mut ends = BTreeMap::new();
    for partition in found.partitions().iter().map(|partition| partition.id()) {
        let bounds = bounds_of(&consumer, topic, partition, timeout, || false);
        let asking = format!("ask for the end of partition {partition} of topic {topic}");
        let (_, end) = bounds.map_err(failed(asking))?;
        ends.insert(partition, end);
    }
    Ok(ends)
}
