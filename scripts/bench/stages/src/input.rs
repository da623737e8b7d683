//! The records of a topic, kept in memory as Kafka delivered them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bench_kafka::partitions;
use lake_config::Kafka;
use lake_model::{KafkaPartition, Offset, Timestamp};
use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};

/// Longest wait for a record.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of a group that is not joined.
const GROUP: &str = "bench-stages";

/// The logs of a topic's partitions.
pub type Input = BTreeMap<KafkaPartition, Log>;

/// A record as Kafka delivered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Its Kafka timestamp.
    pub kafka_timestamp: Timestamp,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its payload, if it has one.
    pub payload: Option<&'a [u8]>,
}

/// The records of a partition, from offset 0 on without a hole.
#[derive(Debug, Default)]
pub struct Log {
    /// Keys and payloads, one after another.
    bytes: Vec<u8>,
    kept: Vec<Kept>,
}

/// Where a record's bytes are. Lengths are in bytes.
#[derive(Clone, Copy, Debug)]
struct Kept {
    begin: usize,
    key: Option<u32>,
    payload: Option<u32>,
    kafka_timestamp: Timestamp,
}

impl Log {
    /// Keeps the next record.
    ///
    /// # Errors
    /// A record that is not the next one: what passes over offsets that Kafka does not deliver is no stage.
    pub fn push(&mut self, record: &Record<'_>) -> anyhow::Result<()> {
        let next = self.end();
        ensure!(
            record.offset == next,
            "offset {} follows where {next} was expected: name a topic from whose start no record is missing",
            record.offset
        );
        let begin = self.bytes.len();
        let mut keep = |part: Option<&[u8]>| {
            self.bytes.extend_from_slice(part.unwrap_or_default());
            part.map(|part| {
                u32::try_from(part.len()).expect("Kafka's records have less than 2 GiB")
            })
        };
        let (key, payload) = (keep(record.key), keep(record.payload));
        self.kept.push(Kept { begin, key, payload, kafka_timestamp: record.kafka_timestamp });
        Ok(())
    }

    /// The offset after the last one.
    pub fn end(&self) -> Offset {
        Offset(i64::try_from(self.kept.len()).expect("there is no memory for so many"))
    }

    /// The record at `offset`, if there is one.
    pub fn get(&self, offset: Offset) -> Option<Record<'_>> {
        let kept = *self.kept.get(usize::try_from(offset.0).ok()?)?;
        let length = |part: Option<u32>| part.unwrap_or(0) as usize;
        let middle = kept.begin + length(kept.key);
        let key = kept.key.map(|_| &self.bytes[kept.begin..middle]);
        let payload = kept.payload.map(|_| &self.bytes[middle..middle + length(kept.payload)]);
        Some(Record { offset, kafka_timestamp: kept.kafka_timestamp, key, payload })
    }
}

/// Reads the topic from its first offset to its end.
///
/// # Errors
/// Kafka that fails, and a topic whose records are not all there.
pub fn read(settings: &Kafka) -> anyhow::Result<Input> {
    let topic = &settings.topic;
    let consumer = consumer(settings)?;
    let mut open: BTreeSet<i32> = partitions(&consumer, topic)?.into_iter().collect();
    let mut list = TopicPartitionList::new();
    for partition in &open {
        list.add_partition_offset(topic, *partition, rdkafka::Offset::Beginning)?;
    }
    consumer.assign(&list).context("assign the partitions")?;
    let mut input: Input = open.iter().map(|id| (KafkaPartition(*id), Log::default())).collect();
    while !open.is_empty() {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => keep(&mut input, &message)?,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => {
                return Err(error).with_context(|| format!("read topic {topic}"));
            }
            None => bail!("Kafka delivered nothing of topic {topic} for {PATIENCE:?}"),
        }
    }
    Ok(input)
}

fn consumer(settings: &Kafka) -> anyhow::Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    for (key, value) in &settings.properties {
        config.set(key, value);
    }
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", GROUP)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .context("create a consumer")
}

fn keep(input: &mut Input, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
    let record = Record {
        offset: Offset(message.offset()),
        kafka_timestamp: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or(-1)),
        key: message.key(),
        payload: message.payload(),
    };
    let partition = KafkaPartition(message.partition());
    let log = input.get_mut(&partition).context("only partitions that exist are assigned")?;
    log.push(&record).with_context(|| format!("partition {partition}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lake_model::OffsetRange;

    fn record<'a>(offset: i64, key: Option<&'a [u8]>, payload: Option<&'a [u8]>) -> Record<'a> {
        Record {
            offset: Offset(offset),
            kafka_timestamp: Timestamp::from_millis(offset),
            key,
            payload,
        }
    }

    #[test]
    fn a_log_gives_records_back_as_they_were() {
        let records = [
            record(0, Some(b"KV1"), Some(b"{}")),
            record(1, None, Some(b"")),
            record(2, Some(b""), None),
            record(3, None, Some(b"last")),
        ];
        let mut log = Log::default();
        records.iter().for_each(|record| log.push(record).unwrap());
        let offsets = OffsetRange::new(Offset::ZERO, log.end()).offsets();
        let found: Vec<Record<'_>> = offsets.filter_map(|offset| log.get(offset)).collect();
        assert_eq!(found, records);
        assert_eq!(log.get(Offset(4)), None);
    }

    #[test]
    fn a_log_with_a_hole_is_refused_with_the_offset() {
        let mut log = Log::default();
        log.push(&record(0, None, None)).unwrap();
        let problem = log.push(&record(2, None, None)).unwrap_err().to_string();
        assert!(problem.contains("offset 2 follows where 1 was expected"), "{problem}");
    }
}
