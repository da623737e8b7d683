//! The polling thread: messages become decoded batches, rebalances become questions to the engine.
//!
//! Records of assigned partitions come through a queue of their own; all else comes through the consumer's.

mod membership;
mod outgoing;
mod seeking;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lake_model::EventTime;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, Timestamp};
use speed_layer_fetch::{Message, Record, RecordQueue};
use tokio::runtime::Handle;

use self::outgoing::{BATCH_BYTES, FLUSH_RECORDS};
use super::context::{GroupContext, Rebalance};
use super::queue::Sender;
use super::timestamps::warn_of_create_time;
use crate::decode::{DecodedBatch, EventFormat};
use crate::source::{SourceEvent, Start};

/// How long a turn waits for records; then what is pending is sent on and positions are looked at.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// How often partitions are routed again: librdkafka ends a route some time after a partition was taken away, be it
/// assigned again meanwhile.
const ROUTE_INTERVAL: Duration = Duration::from_secs(1);
/// Records that are taken between looks at the clock, at rebalances and at seeks.
const TURN_RECORDS: usize = 1024;

/// A partition to be fetched from another offset.
pub(super) struct Seek(pub(super) Start);

pub(super) struct Poller {
    consumer: Arc<BaseConsumer<GroupContext>>,
    records: Arc<RecordQueue<GroupContext>>,
    topic: String,
    decode: EventFormat,
    request_timeout: Duration,
    sender: Sender,
    seeks: std::sync::mpsc::Receiver<Seek>,
    stop: Arc<AtomicBool>,
    fetched: BTreeMap<i32, Fetched>,
    pending_records: usize,
    flushed_at: Instant,
    routed_at: Instant,
    /// When librdkafka last refused a seek of a partition that it does not fetch.
    refused_at: Option<Instant>,
    /// Errors that came beside records.
    errors: VecDeque<KafkaError>,
    /// Partitions whose records came beside the queue of records, as those of a topic that was made anew may.
    strays: BTreeSet<i32>,
}

/// An assigned partition.
struct Fetched {
    /// Decoded records that the engine does not have yet, tagged with the partition's epoch.
    pending: DecodedBatch,
    /// The position last told to the engine.
    position: i64,
    /// Since when it is to be sought: what comes until then is of another place.
    unsought_since: Option<Instant>,
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
            records: Arc::new(RecordQueue::new(Arc::clone(&consumer))),
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
            routed_at: now(),
            refused_at: None,
            errors: VecDeque::new(),
            strays: BTreeSet::new(),
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
        self.serve_consumer();
        while let Some(rebalance) = self.consumer.context().next_rebalance() {
            // librdkafka has paused what is kept, and goes on with it once this is handled.
            self.distrust_positions();
            self.flush(runtime)?;
            match rebalance {
                Rebalance::Assign(partitions) => self.assign(&partitions, runtime)?,
                Rebalance::Revoke(partitions) => self.revoke(partitions, runtime)?,
            }
        }
        let starts: Vec<Start> = self.seeks.try_iter().map(|Seek(start)| start).collect();
        starts.into_iter().for_each(|start| self.begin_elsewhere(start));
        self.restart_strays(runtime)?;
        while let Some(error) = self.errors.pop_front() {
            self.take_error(&error, runtime)?;
        }
        self.seek(runtime)?;
        self.take_records(runtime)
    }

    /// Hears what comes beside records: rebalances and statistics go to the context, errors wait for their turn.
    fn serve_consumer(&mut self) {
        while self.hear() {}
        if self.routed_at.elapsed() >= ROUTE_INTERVAL {
            self.fetched.keys().for_each(|partition| self.records.route(&self.topic, *partition));
            self.routed_at = now();
        }
    }

    /// Hears one thing that comes beside records. Says whether there was any for the poller itself; what the context takes is
    /// none. Without this, the group would hold this instance for dead.
    fn hear(&mut self) -> bool {
        let consumer = Arc::clone(&self.consumer);
        match consumer.poll(Duration::ZERO) {
            Some(Err(KafkaError::PartitionEOF(partition))) => self.strays.extend([partition]),
            Some(Err(error)) => self.errors.push_back(error),
            Some(Ok(message)) => self.strays.extend([message.partition()]),
            None => return false,
        }
        true
    }

    /// Waits for records and takes those that are there with them. The clock is read once for all of them.
    fn take_records(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let records = Arc::clone(&self.records);
        let (mut left, mut taken) = (TURN_RECORDS, Ok(()));
        let has_come = records.serve(POLL_TIMEOUT, |message| {
            taken = self.take(message, runtime);
            left -= 1;
            if taken.is_err() || left == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        taken?;
        if !has_come {
            return self.flush(runtime);
        }
        if self.flushed_at.elapsed() >= POLL_TIMEOUT {
            self.flush(runtime)?;
        }
        Ok(())
    }

    fn take(&mut self, message: Message<'_>, runtime: &Handle) -> Result<(), Ended> {
        match message {
            Message::Record(record) => {
                if self.keep(&record) {
                    self.flush_partition(record.partition, runtime)?;
                }
                if self.pending_records < FLUSH_RECORDS {
                    return Ok(());
                }
                self.flush(runtime)
            }
            Message::End { partition, next_offset } => {
                self.tell_end(partition, next_offset, runtime)
            }
            Message::Fault(error) => {
                tracing::warn!(%error, "Kafka");
                self.take_error(&error, runtime)
            }
        }
    }

    /// Decodes a record into its partition's pending batch. Says whether that is full.
    fn keep(&mut self, record: &Record<'_>) -> bool {
        let Some(fetched) = sought(&mut self.fetched, record.partition) else { return false };
        let millis = match record.timestamp {
            Timestamp::LogAppendTime(millis) => millis,
            Timestamp::CreateTime(millis) => {
                warn_of_create_time(&self.topic);
                millis
            }
            Timestamp::NotAvailable => -1,
        };
        let kafka_timestamp = EventTime::from_millis(millis);
        let (key, payload) = (record.key, record.payload);
        fetched.pending.push(record.offset, kafka_timestamp, key, payload, &self.decode);
        self.pending_records += 1;
        fetched.pending.bytes() >= BATCH_BYTES
    }

    /// Does what an error asks for. It was logged where it came: those of the client by the context.
    fn take_error(&mut self, error: &KafkaError, runtime: &Handle) -> Result<(), Ended> {
        match error {
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => self.restart_partitions_out_of_range(runtime),
            KafkaError::MessageConsumptionFatal(_) => {
                let problem = format!("the Kafka consumer failed for good: {error}");
                self.send(SourceEvent::Failed { problem }, runtime)
            }
            _ => Ok(()),
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

impl Fetched {
    /// The offset after the last record taken.
    fn next_offset(&self) -> i64 {
        self.pending.last_offset().map_or(self.position, |last| last + 1)
    }

    /// What comes is of another place until the partition is sought.
    fn distrust(&mut self) {
        self.unsought_since.get_or_insert_with(now);
    }
}

/// The partition, if what comes of it is of its epoch.
fn sought(partitions: &mut BTreeMap<i32, Fetched>, partition: i32) -> Option<&mut Fetched> {
    partitions.get_mut(&partition).filter(|fetched| fetched.unsought_since.is_none())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread that polls is the product's edge to Kafka"
)]
fn now() -> Instant {
    Instant::now()
}
