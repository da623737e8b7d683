//! Reading a topic as the speed layer does, without an engine: its own source joins the group, fetches, decodes and hands
//! batches over, which are dropped.

use std::time::Duration;

use anyhow::{Context, bail};
use lake_config::Settings;
use lake_kafka::{LogEnds, TopicEnds};
use lake_model::{KafkaPartition, Offset};
use speed_layer::kafka::KafkaSource;
use speed_layer::source::{AssignedPartition, Source, SourceEvent, Start};
use tokio::time::timeout;

use crate::cpu::processor_time;

/// Longest wait for anything from Kafka.
const PATIENCE: Duration = Duration::from_secs(60);
/// The tag of the records; there is one assignment only.
const EPOCH: u64 = 1;

/// What reading a topic took and brought.
#[derive(Debug)]
pub struct Reading {
    /// Processor time of all that fetches and decodes.
    pub spent: Duration,
    /// The batches, in the order in which they came.
    pub batches: Vec<BatchEnd>,
}

/// Where a batch ends, which begins where the one before it in its partition ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchEnd {
    /// The partition.
    pub partition: KafkaPartition,
    /// The offset after its last record.
    pub next_offset: Offset,
}

/// Reads the topic from its first offset to its end.
///
/// # Errors
/// Kafka that fails, and another member of the group.
pub async fn read(settings: &Settings) -> anyhow::Result<Reading> {
    let mut open = TopicEnds::new(&settings.kafka).ends().await?.stable();
    let begun = processor_time();
    let group =
        settings.kafka.group.as_deref().context("set kafka.group, to one of no other member")?;
    let mut source = KafkaSource::start(settings, group)?;
    let mut batches = Vec::new();
    while !open.is_empty() {
        let event = timeout(PATIENCE, source.next()).await;
        match event.with_context(|| format!("Kafka delivered nothing for {PATIENCE:?}"))? {
            SourceEvent::Records(batch) => {
                let partition = batch.partition;
                let end = |last: Offset| BatchEnd { partition, next_offset: last.next() };
                batches.extend(batch.last_offset().map(end));
            }
            SourceEvent::Assigned { partitions, reply } => {
                // The polling thread waits for the answer.
                let _ = reply.send(partitions.iter().map(from_its_start).collect());
            }
            SourceEvent::Position { partition, next, .. } => {
                open.retain(|id, end| *id != partition || end.next > next);
            }
            SourceEvent::Revoked { .. } | SourceEvent::Lost { .. } => {
                bail!("group {group} took partitions away: name one of no other member")
            }
            SourceEvent::Failed { problem } => bail!(problem),
        }
    }
    source.close().await;
    Ok(Reading { spent: processor_time() - begun, batches })
}

fn from_its_start(assigned: &AssignedPartition) -> Start {
    Start { partition: assigned.partition, offset: assigned.low, epoch: EPOCH, leader_epoch: None }
}
