//! The producer: hands records to librdkafka, waits where its queue is full, and counts what Kafka did not
//! take.
//!
//! Each delivery is reported while the producer is polled, which every send now and then, a full queue and
//! the final flush do. librdkafka tries again until `message.timeout.ms`, so a flush ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lake_config::{Kafka, describe_property};
use lake_runtime::Shutdown;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};

use crate::allowance::MAX_BATCH_BYTES;
use crate::error::SimulatorError;

/// Sends from one poll of delivery reports to the next.
const SENDS_PER_POLL: u32 = 256;
/// How long to poll when the queue is full.
const FULL_POLL: Duration = Duration::from_millis(2);
/// How long a flush waits before it looks whether the run was stopped.
const FLUSH_STEP: Duration = Duration::from_millis(200);
/// What brokers see in their request logs.
const CLIENT_ID: &str = "camera-simulator";
/// How many such steps a stopped run gives its last records.
const STOPPED_FLUSH_STEPS: u32 = 50;

/// The configuration of every client of a real Kafka: the user's properties over our own.
pub fn client_config(kafka: &Kafka) -> ClientConfig {
    let mut config = lake_kafka::client::client(kafka);
    if !kafka.properties.contains_key("client.id") {
        config.set("client.id", CLIENT_ID);
    }
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// The configuration of every client of the embedded broker at `brokers`: none of the user's properties,
/// which are meant for a real Kafka.
pub fn embedded_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", CLIENT_ID).set("bootstrap.servers", brokers);
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// How records are batched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batches {
    /// Compressed, as large as librdkafka likes.
    Compressed,
    /// Small, as the embedded broker drops whole ones, and uncompressed, as their sizes are counted
    /// beforehand.
    Counted,
}

/// A record to send.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The camera's id.
    pub key: &'a str,
    /// The payload, if there is one.
    pub payload: Option<&'a [u8]>,
    /// The record's timestamp in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Where it goes; by default where the hash of its key says.
    pub partition: Option<i32>,
}

/// Whether a record was taken.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the producer's queue.
    Queued,
    /// The run was asked to stop while the queue was full.
    Stopped,
}

/// A producer for one topic.
pub struct Sink {
    producer: BaseProducer<Failures>,
    topic: String,
    brokers: String,
    sends_to_poll: u32,
}

impl Sink {
    /// A producer with the configuration of [`client_config`] or [`embedded_config`].
    ///
    /// # Errors
    /// A property that librdkafka refuses.
    pub fn new(
        config: &ClientConfig,
        topic: &str,
        batches: Batches,
    ) -> Result<Sink, SimulatorError> {
        let mut own = ClientConfig::new();
        own.set("acks", "all").set("enable.idempotence", "true").set("linger.ms", "20");
        own.set("partitioner", "murmur2_random").set("queue.buffering.max.messages", "200000");
        match batches {
            Batches::Compressed => own.set("compression.type", "lz4"),
            Batches::Counted => own.set("batch.size", MAX_BATCH_BYTES.to_string()),
        };
        for (name, value) in config.config_map() {
            own.set(name, value);
        }
        own.set_log_level(config.log_level);
        let producer = BaseProducer::from_config_and_context(&own, Failures::default());
        let producer = producer.map_err(|error| unusable_properties(&error))?;
        let brokers = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        Ok(Sink { producer, topic: topic.to_owned(), brokers, sends_to_poll: SENDS_PER_POLL })
    }

    /// Queues a record, waiting for room.
    ///
    /// # Errors
    /// A record that librdkafka refuses for ever.
    pub fn send(
        &mut self,
        record: &Record<'_>,
        shutdown: &Shutdown,
    ) -> Result<Sent, SimulatorError> {
        self.poll_now_and_then();
        let mut message =
            BaseRecord::to(&self.topic).key(record.key).timestamp(record.timestamp_ms);
        message.payload = record.payload;
        message.partition = record.partition;
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(Sent::Queued),
                Err((error, refused)) if is_full(&error) => {
                    if shutdown.is_requested() {
                        return Ok(Sent::Stopped);
                    }
                    self.producer.poll(FULL_POLL);
                    message = refused;
                }
                Err((source, _)) => return Err(self.refused(source)),
            }
        }
    }

    /// Serves delivery reports for `time`.
    pub fn poll(&self, time: Duration) {
        self.producer.poll(time);
    }

    /// Waits until each queued record is delivered or has failed; when the run is asked to stop, for some
    /// seconds more at most. Returns the number of records that were not delivered.
    pub fn finish(&self, shutdown: &Shutdown) -> u64 {
        let mut steps_left = STOPPED_FLUSH_STEPS;
        while self.producer.flush(FLUSH_STEP).is_err() && steps_left > 0 {
            steps_left -= u32::from(shutdown.is_requested());
        }
        let abandoned = u64::try_from(self.producer.in_flight_count()).unwrap_or(0);
        if abandoned > 0 {
            self.producer.purge(PurgeConfig::default().queue().inflight());
            let _ = self.producer.flush(FLUSH_STEP);
        }
        self.not_delivered()
    }

    /// Records that Kafka is known not to have taken.
    pub fn not_delivered(&self) -> u64 {
        self.producer.context().count.load(Ordering::Relaxed)
    }

    fn poll_now_and_then(&mut self) {
        self.sends_to_poll -= 1;
        if self.sends_to_poll == 0 {
            self.sends_to_poll = SENDS_PER_POLL;
            self.producer.poll(Duration::ZERO);
        }
    }

    fn refused(&self, source: KafkaError) -> SimulatorError {
        let action = format!("produce to topic {:?}", self.topic);
        let remedy = "check the topic's name and kafka.properties";
        SimulatorError::kafka(action, &self.brokers, source, remedy)
    }
}

/// The error of properties that librdkafka refuses.
pub(crate) fn unusable_properties(error: &KafkaError) -> SimulatorError {
    let problem = match error {
        KafkaError::ClientConfig(_, reason, name, value) => {
            format!("kafka.properties.{name} = {:?}: {reason}", describe_property(name, value))
        }
        error => format!("kafka.properties: {error}"),
    };
    SimulatorError::Usage(format!(
        "{problem}; librdkafka's CONFIGURATION.md lists every property and its values"
    ))
}

fn is_full(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}

/// A client that does not complain of properties for other kinds of clients: `kafka.properties` holds those
/// of consumers and producers alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            _ if facility == "CONFWARN" => {}
            RDKafkaLogLevel::Warning => tracing::warn!(facility, "{message}"),
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::error!(facility, "{message}"),
            _ => tracing::debug!(facility, "{message}"),
        }
    }
}

impl ConsumerContext for Quiet {}

/// Counts failed deliveries, and reports the first.
#[derive(Debug, Default)]
struct Failures {
    count: AtomicU64,
}

impl ClientContext for Failures {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Quiet.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka client");
    }
}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, _)) = result else { return };
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(%error, "Kafka did not accept a record; further ones are only counted");
        }
    }
}
