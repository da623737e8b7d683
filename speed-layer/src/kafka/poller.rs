//! The polling thread: messages become decoded batches, rebalances become questions to the engine.

mod membership;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lake_model::EventTime;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message, Timestamp};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::BATCH_BYTES;
use super::context::{GroupContext, Rebalance};
use super::queue::Sender;
use super::timestamps::warn_of_create_time;
use crate::decode::{DecodedBatch, EventFormat};
use crate::source::{SourceEvent, Start};
use lake_model::defects::{self, Defect};

/// How long a poll waits; then what is pending is sent on and positions are looked at.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// Records after which pending batches are sent on however busy the topic is.
const FLUSH_RECORDS: usize = 20_000;
/// Records that are taken between looks at the clock, at rebalances and at seeks.
const TURN_RECORDS: usize = 256;
/// How long the thread waits for the engine before it polls to stay in the group.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// A partition to be fetched anew.
pub(super) struct Seek(pub(super) Start);

pub(super) struct Poller {
    consumer: Arc<BaseConsumer<GroupContext>>,
    topic: String,
    decode: EventFormat,
    request_timeout: Duration,
    sender: Sender,
    seeks: std::sync::mpsc::Receiver<Seek>,
    stop: Arc<AtomicBool>,
    fetched: BTreeMap<i32, Fetched>,
    pending_records: usize,
    flushed_at: Instant,
    /// Errors that came while the thread waited for the engine.
    errors: VecDeque<KafkaError>,
}

/// An assigned partition.
struct Fetched {
    /// Decoded records that the engine does not have yet, tagged with the partition's epoch.
    pending: DecodedBatch,
    /// The position last told to the engine.
    position: i64,
    /// Whether librdkafka's position is of this epoch: it keeps the one before a seek until something comes.
    has_come: bool,
}

/// The thread is to end: it was told to, or nobody listens any more.
struct Ended;

impl Poller {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<GroupContext>>,
        topic: String,
        decode: EventFormat,
        request_timeout: Duration,
        sender: Sender,
        seeks: std::sync::mpsc::Receiver<Seek>,
        stop: Arc<AtomicBool>,
    ) -> Poller {
        Poller {
            consumer,
            topic,
            decode,
            request_timeout,
            sender,
            seeks,
            stop,
            fetched: BTreeMap::new(),
            pending_records: 0,
            flushed_at: now(),
            errors: VecDeque::new(),
        }
    }

    /// Polls until told to stop, then leaves the group.
    pub(super) fn run(mut self, runtime: &Handle) {
        while !self.stop.load(Ordering::Relaxed) {
            if self.turn(runtime).is_err() {
                break;
            }
        }
        // Closing the consumer, when its last owner drops it, leaves the group.
        self.consumer.context().close();
        let _ = self.consumer.unassign();
    }

    fn turn(&mut self, runtime: &Handle) -> Result<(), Ended> {
        while let Some(rebalance) = self.consumer.context().next_rebalance() {
            self.flush(runtime)?;
            match rebalance {
                Rebalance::Assign(partitions) => self.assign(&partitions, runtime)?,
                Rebalance::Revoke(partitions) => self.revoke(partitions, runtime)?,
            }
        }
        while let Ok(Seek(start)) = self.seeks.try_recv() {
            self.seek(start, runtime)?;
        }
        if let Some(error) = self.errors.pop_front() {
            return self.take_error(&error, runtime);
        }
        self.take_messages(runtime)
    }

    /// Waits for a message and takes those that are there with it. The clock is read once for all of them.
    fn take_messages(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let consumer = Arc::clone(&self.consumer);
        let mut wait = POLL_TIMEOUT;
        for _ in 0..TURN_RECORDS {
            match consumer.poll(wait) {
                None if wait.is_zero() => break,
                None => return self.idle(runtime),
                Some(Ok(message)) => {
                    self.keep(&message);
                    self.flush_what_is_full(message.partition(), runtime)?;
                }
                Some(Err(error)) => return self.take_error(&error, runtime),
            }
            wait = Duration::ZERO;
        }
        if self.flushed_at.elapsed() >= POLL_TIMEOUT {
            self.flush(runtime)?;
        }
        Ok(())
    }

    /// Decodes a message into its partition's pending batch.
    fn keep(&mut self, message: &BorrowedMessage<'_>) {
        let partition = message.partition();
        let Some(fetched) = self.fetched.get_mut(&partition) else { return };
        fetched.has_come = true;
        let millis = match message.timestamp() {
            Timestamp::LogAppendTime(millis) => millis,
            Timestamp::CreateTime(millis) => {
                warn_of_create_time(&self.topic);
                millis
            }
            Timestamp::NotAvailable => -1,
        };
        let kafka_timestamp = EventTime::from_millis(millis);
        let (key, payload) = (message.key(), message.payload());
        fetched.pending.push(message.offset(), kafka_timestamp, key, payload, &self.decode);
        self.pending_records += 1;
    }

    fn flush_what_is_full(&mut self, partition: i32, runtime: &Handle) -> Result<(), Ended> {
        let fetched = self.fetched.get(&partition);
        if fetched.is_some_and(|fetched| fetched.pending.bytes() >= BATCH_BYTES) {
            self.flush_partition(partition, runtime)?;
        }
        if self.pending_records >= FLUSH_RECORDS {
            self.flush(runtime)?;
        }
        Ok(())
    }

    fn take_error(&mut self, error: &KafkaError, runtime: &Handle) -> Result<(), Ended> {
        match error {
            KafkaError::PartitionEOF(partition) => {
                self.flush_partition(*partition, runtime)?;
                let Some(fetched) = self.fetched.get_mut(partition) else { return Ok(()) };
                fetched.has_come = true;
                let epoch = fetched.pending.epoch;
                self.tell_positions(runtime)?;
                self.send(SourceEvent::EndReached { partition: *partition, epoch }, runtime)
            }
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => self.restart_partitions_out_of_range(runtime),
            KafkaError::MessageConsumptionFatal(_) => {
                let problem = format!("the Kafka consumer failed for good: {error}");
                self.send(SourceEvent::Failed { problem }, runtime)
            }
            error if defects::is_on(Defect::KafkaFaultFatal) => {
                self.send(SourceEvent::Failed { problem: error.to_string() }, runtime)
            }
            error => {
                tracing::warn!(%error, "Kafka");
                Ok(())
            }
        }
    }

    fn idle(&mut self, runtime: &Handle) -> Result<(), Ended> {
        self.flush(runtime)?;
        self.tell_positions(runtime)
    }

    /// Positions count transaction markers and aborted records, which no message tells of.
    fn tell_positions(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let Ok(positions) = self.consumer.position() else { return Ok(()) };
        for element in positions.elements() {
            let (partition, Offset::Offset(next)) = (element.partition(), element.offset()) else {
                continue;
            };
            let Some(fetched) = self.fetched.get_mut(&partition) else { continue };
            let is_news = fetched.has_come && fetched.position < next;
            if !is_news || !fetched.pending.is_empty() {
                continue;
            }
            fetched.position = next;
            let epoch = fetched.pending.epoch;
            self.send(SourceEvent::Position { partition, epoch, next }, runtime)?;
        }
        Ok(())
    }

    fn flush(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let partitions: Vec<i32> = self.fetched.keys().copied().collect();
        self.pending_records = 0;
        self.flushed_at = now();
        partitions.into_iter().try_for_each(|partition| self.flush_partition(partition, runtime))
    }

    fn flush_partition(&mut self, partition: i32, runtime: &Handle) -> Result<(), Ended> {
        let Some(fetched) = self.fetched.get_mut(&partition) else { return Ok(()) };
        let Some(last) = fetched.pending.last_offset() else { return Ok(()) };
        fetched.position = last + 1;
        let batch = fetched.pending.take();
        self.send(SourceEvent::Records(Box::new(batch)), runtime)
    }

    /// Sends to the engine. While it is behind, fetching is paused and polls keep the membership.
    fn send(&mut self, event: SourceEvent, runtime: &Handle) -> Result<(), Ended> {
        let sender = self.sender.clone();
        let mut paused = false;
        let place = loop {
            let place = async { timeout(SEND_TIMEOUT, sender.place_for(&event)).await };
            match runtime.block_on(place) {
                Ok(place) => break place.map_err(|_| Ended)?,
                Err(_) => {
                    paused = true;
                    self.set_paused(true);
                    self.stay_in_group();
                }
            }
        };
        let sent = sender.send(event, place).map_err(|_| Ended);
        if paused {
            self.set_paused(false);
        }
        sent
    }

    /// One poll, without which the group would hold this instance for dead. What it brings waits.
    fn stay_in_group(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        match consumer.poll(Duration::ZERO) {
            Some(Ok(message)) => self.keep(&message),
            Some(Err(error)) => self.errors.push_back(error),
            None => {}
        }
    }

    fn set_paused(&self, paused: bool) {
        let list = self.list_of_partitions(&self.fetched.keys().copied().collect::<Vec<_>>());
        let result = if paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(error) = result {
            tracing::debug!(%error, paused, "partitions not paused or resumed");
        }
    }

    fn list_of_partitions(&self, partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        list
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread that polls is the product's edge to Kafka"
)]
fn now() -> Instant {
    Instant::now()
}
