//! The polling thread: messages become decoded batches, rebalances become questions to the engine.
//!
//! It is a loop over parts. The [`Link`] joins the three that records pass through: the [`GroupClient`] is
//! librdkafka, the [`Positions`](positions::Positions) are where each partition is, and the [`Delivery`]
//! decodes records and sends them to the engine. On that link the [`Membership`] assigns and releases partitions as the group
//! and the engine say, the [`Seeker`] moves partitions that have to be fetched from another place, and [`faults`] decides what
//! becomes of partitions that librdkafka cannot fetch.

mod client;
mod delivery;
mod faults;
mod link;
mod membership;
mod positions;
mod seeker;
#[cfg(test)]
mod test_bed;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lake_model::{KafkaPartition, Offset};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use speed_layer_fetch::Message;
use tokio::runtime::Handle;

use self::client::GroupClient;
use self::delivery::Delivery;
use self::link::Link;
use self::membership::Membership;
use self::seeker::Seeker;
use super::context::GroupContext;
use super::queue::Sender;
use crate::decode::EventFormat;
use crate::source::{SourceEvent, Start};

/// How long a poll waits for records; then what is pending is sent on and positions are looked at.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// Records that are accepted between looks at rebalances and whatever else interrupts them.
const POLL_RECORDS: usize = 1024;

/// How long the thread waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// For the engine, before it polls to stay in the group.
    pub(super) engine: Duration,
    /// At most, before a partition is fetched again after a fault.
    pub(super) fetch_again: Duration,
}

impl Default for Waits {
    fn default() -> Waits {
        Waits { engine: Duration::from_secs(60), fetch_again: Duration::from_secs(5) }
    }
}

/// A partition to be fetched from another offset.
pub(super) struct Seek(pub(super) Start);

pub(super) struct Poller {
    link: Link,
    membership: Membership,
    seeker: Seeker,
    seeks: std::sync::mpsc::Receiver<Seek>,
    stop: Arc<AtomicBool>,
}

/// The thread is to end: that was requested, or nobody listens any more.
#[derive(Debug, PartialEq, Eq)]
struct Ended;

impl Poller {
    /// Polls `consumer`, which has subscribed to `topic`, until `stop` is set.
    pub(super) fn new(
        consumer: Arc<BaseConsumer<GroupContext>>,
        topic: String,
        request_timeout: Duration,
        delivery: (Sender, EventFormat, Handle),
        waits: Waits,
        seeks: std::sync::mpsc::Receiver<Seek>,
        stop: Arc<AtomicBool>,
    ) -> Poller {
        let (sender, format, runtime) = delivery;
        Poller {
            link: Link::new(
                GroupClient::new(consumer, topic, request_timeout),
                Delivery::new(sender, format, runtime, waits),
                waits,
            ),
            membership: Membership::new(Arc::clone(&stop)),
            seeker: Seeker::default(),
            seeks,
            stop,
        }
    }

    /// Polls until a stop is requested, then leaves the group.
    pub(super) fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            if self.poll_once().is_err() {
                break;
            }
        }
        self.link.client.leave();
    }

    fn poll_once(&mut self) -> Result<(), Ended> {
        let link = &mut self.link;
        link.client.serve(link.positions.ids().into_iter());
        while let Some(rebalance) = link.client.next_rebalance() {
            self.membership.handle(rebalance, link)?;
        }
        self.seeks.try_iter().for_each(|Seek(start)| link.begin_elsewhere(start));
        let misrouted = link.client.drain_misrouted();
        self.membership.restart_misrouted(misrouted, link)?;
        while let Some(error) = self.link.client.next_error() {
            self.handle_error(&error)?;
        }
        self.membership.look_for_growth(&mut self.link)?;
        self.seeker.seek(&mut self.link)?;
        self.receive_records()
    }

    /// Waits for records and accepts all that are there with them, unless something more urgent comes up: what is left
    /// lets librdkafka's queue grow.
    fn receive_records(&mut self) -> Result<(), Ended> {
        let records = self.link.client.records();
        metrics::gauge!("lambdalake_kafka_queue_records").set(records.len() as f64);
        let (mut count, mut received) = (0, Ok(()));
        let has_come = records.serve(POLL_TIMEOUT, |message| {
            received = self.receive(message);
            count += 1;
            if received.is_err() || count % POLL_RECORDS == 0 && self.is_interrupted() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        received?;
        let wait = if has_come { POLL_TIMEOUT } else { Duration::ZERO };
        self.link.flush_after(wait)
    }

    /// Whether something has come up that is not to wait until all records are accepted.
    fn is_interrupted(&mut self) -> bool {
        let link = &mut self.link;
        while link.client.poll_consumer() {}
        link.client.has_news()
            || link.positions.needs_seek(now())
            || self.stop.load(Ordering::Relaxed)
    }

    fn receive(&mut self, message: Message<'_>) -> Result<(), Ended> {
        match message {
            Message::Record(record) => self.link.accept(&record),
            Message::End { partition, next_offset } => {
                self.link.report_end(KafkaPartition(partition), Offset(next_offset))
            }
            Message::Fault(fault) => match fault.partition {
                Some(partition) => {
                    let partition = KafkaPartition(partition);
                    faults::handle(&fault, partition, &self.membership, &mut self.link)
                }
                None => {
                    tracing::warn!(error = %fault.error, reason = fault.reason, "Kafka");
                    self.handle_error(&fault.error)
                }
            },
        }
    }

    /// Does what an error asks for. It was logged where it came: those of the client by the context.
    fn handle_error(&mut self, error: &KafkaError) -> Result<(), Ended> {
        match error {
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => self.membership.restart_out_of_range(&mut self.link),
            KafkaError::MessageConsumptionFatal(_) => {
                let problem = format!("the Kafka consumer failed for good: {error}");
                self.link.send(SourceEvent::Failed { problem })
            }
            _ => Ok(()),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread that polls is the product's edge to Kafka"
)]
fn now() -> Instant {
    Instant::now()
}
