//! What goes to the engine: batches of decoded records, positions, and whatever else has to wait for room.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{Ended, Poller, now, sought};
use crate::source::SourceEvent;

/// Batches are sent on when they are about this large.
pub(super) const BATCH_BYTES: usize = 512 << 10;
/// Records after which pending batches are sent on however busy the topic is.
pub(super) const FLUSH_RECORDS: usize = 60_000;
/// How long the thread waits for the engine before it polls to stay in the group.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

impl Poller {
    /// The partition's end has come, with all that came before it. Transaction markers and aborted records, which no message
    /// tells of, are counted in it.
    pub(super) fn tell_end(
        &mut self,
        partition: i32,
        next: i64,
        runtime: &Handle,
    ) -> Result<(), Ended> {
        self.flush_partition(partition, runtime)?;
        let Some(fetched) = sought(&mut self.fetched, partition) else { return Ok(()) };
        let epoch = fetched.pending.epoch;
        if fetched.position < next {
            fetched.position = next;
            self.send(SourceEvent::Position { partition, epoch, next }, runtime)?;
        }
        self.send(SourceEvent::EndReached { partition, epoch }, runtime)
    }

    pub(super) fn flush(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let partitions: Vec<i32> = self.fetched.keys().copied().collect();
        self.pending_records = 0;
        self.flushed_at = now();
        partitions.into_iter().try_for_each(|partition| self.flush_partition(partition, runtime))
    }

    pub(super) fn flush_partition(
        &mut self,
        partition: i32,
        runtime: &Handle,
    ) -> Result<(), Ended> {
        let Some(fetched) = self.fetched.get_mut(&partition) else { return Ok(()) };
        let Some(last) = fetched.pending.last_offset() else { return Ok(()) };
        fetched.position = last + 1;
        let batch = fetched.pending.take();
        self.send(SourceEvent::Records(Box::new(batch)), runtime)
    }

    /// Sends to the engine. While it is behind, fetching is paused and polls keep the membership. The first poll tells
    /// librdkafka, which takes a callback for a wait for records, that from now on `max.poll.interval.ms` counts.
    pub(super) fn send(&mut self, event: SourceEvent, runtime: &Handle) -> Result<(), Ended> {
        let sender = self.sender.clone();
        let (mut paused, mut limit) = (false, Duration::ZERO);
        let place = loop {
            let place = async { timeout(limit, sender.place_for(&event)).await };
            match runtime.block_on(place) {
                Ok(place) => break place.map_err(|_| Ended)?,
                Err(_) if limit.is_zero() => limit = SEND_TIMEOUT,
                Err(_) => {
                    paused = true;
                    self.set_paused(true);
                }
            }
            self.hear();
        };
        let sent = sender.send(event, place).map_err(|_| Ended);
        if paused {
            self.set_paused(false);
            self.distrust_positions();
        }
        sent
    }

    fn set_paused(&self, paused: bool) {
        let list = self.list_of_partitions(&self.fetched.keys().copied().collect::<Vec<_>>());
        let result = if paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(error) = result {
            tracing::debug!(%error, paused, "partitions not paused or resumed");
        }
    }
}
