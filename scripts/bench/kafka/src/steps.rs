//! A load that lies ready in a topic and becomes readable step by step.
//!
//! Producing costs as much as consuming does, and both have the machine together. So everything is produced beforehand:
//! before a step's records, its first record of each partition is produced in a transaction that stays open. Whoever reads
//! committed records only comes to the first open transaction of a partition and no further. Committing the transactions one
//! after the other, which costs next to nothing, lets the reader have one step after the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::event::Event;

/// Longest wait for an answer, or for deliveries.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a transaction may be open: as long as Kafka allows by default.
const OPEN_MS: &str = "900000";
/// How long deliveries are waited for where the queue is full.
const PAUSE: Duration = Duration::from_millis(1);

/// Steps of a load on their way into a topic.
pub struct Steps<'a> {
    brokers: &'a str,
    topic: &'a str,
    partitions: &'a [i32],
    records: BaseProducer<Failures>,
    ready: Vec<Step>,
}

/// A step that lies in the topic.
pub struct Step {
    gate: BaseProducer<Failures>,
    /// By partition, the next offset after the step.
    pub next_offsets: Vec<i64>,
}

impl<'a> Steps<'a> {
    /// No step yet in a topic that is empty.
    ///
    /// # Errors
    /// Settings that librdkafka refuses.
    pub fn new(
        brokers: &'a str,
        topic: &'a str,
        partitions: &'a [i32],
    ) -> anyhow::Result<Steps<'a>> {
        let records = producer(&config(brokers))?;
        Ok(Steps { brokers, topic, partitions, records, ready: Vec::new() })
    }

    /// Produces a step of these events, each with its Kafka timestamp in milliseconds since 1970.
    ///
    /// # Errors
    /// A record that Kafka does not take.
    pub fn prepare(&mut self, events: impl Iterator<Item = (Event, i64)>) -> anyhow::Result<()> {
        let gate = self.open_gate()?;
        let none = || vec![0; self.partitions.len()];
        let mut next_offsets =
            self.ready.last().map_or_else(none, |step| step.next_offsets.clone());
        let mut gated = vec![false; self.partitions.len()];
        let mut is_gate_delivered = true;
        for (event, millis) in events {
            let place = usize::try_from(event.camera)? % self.partitions.len();
            let is_first = !std::mem::replace(&mut gated[place], true);
            if !is_first && !is_gate_delivered {
                deliver(&gate)?;
            }
            is_gate_delivered = !is_first;
            let producer = if is_first { &gate } else { &self.records };
            self.send(producer, &event, self.partitions[place], millis)?;
            next_offsets[place] += 1;
        }
        deliver(&gate)?;
        deliver(&self.records)?;
        self.ready.push(Step { gate, next_offsets });
        Ok(())
    }

    /// The steps that lie in the topic, first to last.
    pub fn ready(self) -> Vec<Step> {
        self.ready
    }

    fn open_gate(&self) -> anyhow::Result<BaseProducer<Failures>> {
        let id = format!("{}-{}", self.topic, self.ready.len());
        let mut config = config(self.brokers);
        config.set("transactional.id", id).set("transaction.timeout.ms", OPEN_MS);
        let gate = producer(&config)?;
        gate.init_transactions(TIMEOUT).context("get ready for a transaction")?;
        gate.begin_transaction().context("begin a transaction")?;
        Ok(gate)
    }

    /// Queues the event, waiting for room.
    fn send(
        &self,
        producer: &BaseProducer<Failures>,
        event: &Event,
        partition: i32,
        millis: i64,
    ) -> anyhow::Result<()> {
        let mut record = BaseRecord::to(self.topic)
            .key(&event.key)
            .payload(&event.payload)
            .partition(partition)
            .timestamp(millis);
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(PAUSE);
                    record = back;
                }
                Err((error, _)) => bail!("produce to topic {}: {error}", self.topic),
            }
        }
    }
}

impl Step {
    /// Lets readers have the step, and all before it.
    ///
    /// # Errors
    /// A transaction that Kafka does not commit, such as one that was open for too long.
    pub fn release(&self) -> anyhow::Result<()> {
        self.gate.commit_transaction(TIMEOUT).context("commit the transaction of a step")
    }
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.messages", "1000000")
        .set("delivery.report.only.error", "true");
    config
}

fn producer(config: &ClientConfig) -> anyhow::Result<BaseProducer<Failures>> {
    BaseProducer::from_config_and_context(config, Failures::default()).context("create a producer")
}

/// Waits until Kafka has all that was sent.
fn deliver(producer: &BaseProducer<Failures>) -> anyhow::Result<()> {
    producer.flush(TIMEOUT).context("deliver records")?;
    let failed = producer.context().failed.load(Ordering::Relaxed);
    ensure!(failed == 0, "Kafka did not take {failed} records");
    Ok(())
}

/// Counts records that Kafka did not take.
#[derive(Default)]
struct Failures {
    failed: AtomicU64,
}

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
