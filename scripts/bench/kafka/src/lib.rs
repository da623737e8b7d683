//! What the measurements need of Kafka.
//!
//! `kafka-floor` reads a topic and does nothing with it: what consuming costs before anything is made of the records.
//! `kafka-feed` lets readers have events at a steady rate with next to no work meanwhile, so that they have the machine.

pub mod event;
pub mod steps;

use std::time::Duration;

use anyhow::{Context, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Longest wait for an answer of the brokers.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The partitions of `topic`, ascending.
///
/// # Errors
/// Brokers that do not answer, or do not know the topic.
pub fn partitions(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<i32>> {
    let asked = || format!("ask for the partitions of topic {topic}");
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).with_context(asked)?;
    let found = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut partitions: Vec<i32> = found.map(|partition| partition.id()).collect();
    ensure!(!partitions.is_empty(), "topic {topic} has no partitions; create it first");
    partitions.sort_unstable();
    Ok(partitions)
}
