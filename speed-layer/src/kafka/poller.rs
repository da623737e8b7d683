//! The polling thread: messages become decoded batches, rebalances become questions to the engine.
//!
//! It is a loop over three parts: the [`GroupClient`] is librdkafka, the [`Positions`] are where each partition is, and the
//! [`Delivery`] decodes records and sends them to the engine. `membership` and `seeking` are what the loop does with them
//! when partitions come, go or have to be fetched from elsewhere.

mod client;
mod delivery;
mod membership;
mod positions;
mod seeking;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use speed_layer_fetch::Message;
use tokio::runtime::Handle;

use self::client::GroupClient;
use self::delivery::Delivery;
use self::positions::Positions;
use super::context::{GroupContext, Rebalance};
use super::queue::Sender;
use crate::decode::EventFormat;
use crate::source::{SourceEvent, Start};

/// How long a poll waits for records; then what is pending is sent on and positions are looked at.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// Records that are accepted between looks at the clock, at rebalances and at seeks.
const POLL_RECORDS: usize = 1024;

/// A partition to be fetched from another offset.
pub(super) struct Seek(pub(super) Start);

pub(super) struct Poller {
    client: GroupClient,
    positions: Positions,
    delivery: Delivery,
    seeks: std::sync::mpsc::Receiver<Seek>,
    /// When librdkafka last refused a seek of a partition that it does not fetch.
    refused_at: Option<Instant>,
    stop: Arc<AtomicBool>,
}

/// The thread is to end: that was requested, or nobody listens any more.
struct Ended;

impl Poller {
    /// Polls `consumer`, which has subscribed to `topic`, until `stop` is set.
    pub(super) fn new(
        consumer: Arc<BaseConsumer<GroupContext>>,
        topic: String,
        request_timeout: Duration,
        delivery: (Sender, EventFormat, Handle),
        seeks: std::sync::mpsc::Receiver<Seek>,
        stop: Arc<AtomicBool>,
    ) -> Poller {
        let (sender, format, runtime) = delivery;
        Poller {
            client: GroupClient::new(consumer, topic, request_timeout),
            positions: Positions::default(),
            delivery: Delivery::new(sender, format, runtime),
            seeks,
            refused_at: None,
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
        self.client.leave();
    }

    fn poll_once(&mut self) -> Result<(), Ended> {
        self.client.serve(self.positions.ids().into_iter());
        while let Some(rebalance) = self.client.next_rebalance() {
            // librdkafka has paused what stays assigned, and goes on with it once this is handled.
            self.positions.invalidate_all(now());
            self.flush()?;
            match rebalance {
                Rebalance::Assign(partitions) => self.assign(&partitions)?,
                Rebalance::Revoke(partitions) => self.revoke(partitions)?,
            }
        }
        let starts: Vec<Start> = self.seeks.try_iter().map(|Seek(start)| start).collect();
        starts.into_iter().for_each(|start| self.begin_elsewhere(start));
        self.restart_strays()?;
        while let Some(error) = self.client.next_error() {
            self.handle_error(&error)?;
        }
        self.seek()?;
        self.receive_records()
    }

    /// Waits for records and accepts those that are there with them. The clock is read once for all of them.
    fn receive_records(&mut self) -> Result<(), Ended> {
        let records = self.client.records();
        let (mut left, mut received) = (POLL_RECORDS, Ok(()));
        let has_come = records.serve(POLL_TIMEOUT, |message| {
            received = self.receive(message);
            left -= 1;
            if received.is_err() || left == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        received?;
        let wait = if has_come { POLL_TIMEOUT } else { Duration::ZERO };
        self.delivery.flush_after(wait, &mut self.client, &mut self.positions)
    }

    fn receive(&mut self, message: Message<'_>) -> Result<(), Ended> {
        match message {
            Message::Record(record) => {
                self.delivery.accept(&record, &mut self.client, &mut self.positions)
            }
            Message::End { partition, next_offset } => {
                let (client, positions) = (&mut self.client, &mut self.positions);
                self.delivery.report_end(partition, next_offset, client, positions)
            }
            Message::Fault(error) => {
                tracing::warn!(%error, "Kafka");
                self.handle_error(&error)
            }
        }
    }

    /// Does what an error asks for. It was logged where it came: those of the client by the context.
    fn handle_error(&mut self, error: &KafkaError) -> Result<(), Ended> {
        match error {
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => self.restart_partitions_out_of_range(),
            KafkaError::MessageConsumptionFatal(_) => {
                let problem = format!("the Kafka consumer failed for good: {error}");
                self.send(SourceEvent::Failed { problem })
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Ended> {
        self.delivery.flush(&mut self.client, &mut self.positions)
    }

    fn send(&mut self, event: SourceEvent) -> Result<(), Ended> {
        self.delivery.send(event, &mut self.client, &mut self.positions)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread that polls is the product's edge to Kafka"
)]
fn now() -> Instant {
    Instant::now()
}
