//! What goes to the engine: batches of decoded records, positions, and whatever else has to wait for room.

use std::time::{Duration, Instant};

use lake_model::{KafkaPartition, LeaderEpoch, Offset, kafka_timestamp};
use rdkafka::message;
use speed_layer_fetch::Record;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::client::GroupClient;
use super::positions::Positions;
use super::{Ended, Waits, now};
use crate::decode::EventFormat;
use crate::kafka::queue::Sender;
use crate::kafka::timestamps::warn_of_create_time;
use crate::source::SourceEvent;

/// Batches are sent on when they are about this large.
const BATCH_BYTES: usize = 512 << 10;
/// Records after which pending batches are sent on however busy the topic is.
const FLUSH_RECORDS: usize = 60_000;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoded {
    /// It is in the batch, or does not count.
    Passed,
    /// The batch is full by it.
    Full,
    /// It is not in the batch, which has to be sent on first.
    OfAnotherLeader,
}

/// The way to the engine.
pub(super) struct Delivery {
    sender: Sender,
    format: EventFormat,
    runtime: Handle,
    send_timeout: Duration,
    pending_records: usize,
    flushed_at: Instant,
}

impl Delivery {
    pub(super) fn new(
        sender: Sender,
        format: EventFormat,
        runtime: Handle,
        waits: Waits,
    ) -> Delivery {
        let (send_timeout, flushed_at) = (waits.engine, now());
        Delivery { sender, format, runtime, send_timeout, pending_records: 0, flushed_at }
    }

    /// The runtime that waits for the engine.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Decodes a record into its partition's pending batch, and sends on what is full by it.
    pub(super) fn accept(
        &mut self,
        record: &Record<'_>,
        client: &mut GroupClient,
        positions: &mut Positions,
    ) -> Result<(), Ended> {
        let mut decoded = self.decode_into_batch(record, client.topic(), positions);
        if decoded == Decoded::OfAnotherLeader {
            self.flush_partition(KafkaPartition(record.partition), client, positions)?;
            decoded = self.decode_into_batch(record, client.topic(), positions);
        }
        if decoded == Decoded::Full {
            self.flush_partition(KafkaPartition(record.partition), client, positions)?;
        }
        if self.pending_records < FLUSH_RECORDS {
            return Ok(());
        }
        self.flush(client, positions)
    }

    /// Decodes a record into its partition's pending batch, unless another leader appended that.
    fn decode_into_batch(
        &mut self,
        record: &Record<'_>,
        topic: &str,
        positions: &mut Positions,
    ) -> Decoded {
        let Some(fetched) = positions.valid(KafkaPartition(record.partition)) else {
            return Decoded::Passed;
        };
        let leader_epoch = record.leader_epoch.and_then(|epoch| LeaderEpoch::new(epoch.into()));
        if fetched.leader_epoch != leader_epoch && !fetched.pending.is_empty() {
            return Decoded::OfAnotherLeader;
        }
        fetched.leader_epoch = leader_epoch;
        let millis = match record.timestamp {
            message::Timestamp::LogAppendTime(millis) => millis,
            message::Timestamp::CreateTime(millis) => {
                warn_of_create_time(topic);
                millis
            }
            message::Timestamp::NotAvailable => -1,
        };
        let kafka_timestamp = kafka_timestamp::usable(millis);
        if kafka_timestamp == kafka_timestamp::ABSENT {
            metrics::counter!("lambdalake_speed_records_without_timestamp_total").increment(1);
        }
        let (offset, key, payload) = (Offset(record.offset), record.key, record.payload);
        fetched.pending.push(offset, kafka_timestamp, key, payload, &self.format);
        self.pending_records += 1;
        if fetched.pending.bytes() >= BATCH_BYTES { Decoded::Full } else { Decoded::Passed }
    }

    /// The partition's end has come, with all that came before it. Transaction markers and aborted records, which no message
    /// reports, are counted in it.
    pub(super) fn report_end(
        &mut self,
        partition: KafkaPartition,
        next: Offset,
        client: &mut GroupClient,
        positions: &mut Positions,
    ) -> Result<(), Ended> {
        self.flush_partition(partition, client, positions)?;
        let Some(fetched) = positions.valid(partition) else { return Ok(()) };
        let epoch = fetched.pending.epoch;
        if next > fetched.position {
            // What is before it is no record, but may be of a later leader than the last one.
            fetched.leader_epoch = client.leader_epoch_before(partition, next);
            fetched.position = next;
        }
        let (next, leader_epoch) = (fetched.position, fetched.leader_epoch);
        let position = SourceEvent::Position { partition, epoch, next, leader_epoch };
        self.send(position, client, positions)
    }

    /// Sends on what is pending, if nothing was sent for so long.
    pub(super) fn flush_after(
        &mut self,
        wait: Duration,
        client: &mut GroupClient,
        positions: &mut Positions,
    ) -> Result<(), Ended> {
        if self.flushed_at.elapsed() < wait {
            return Ok(());
        }
        self.flush(client, positions)
    }

    /// Sends on what is pending.
    pub(super) fn flush(
        &mut self,
        client: &mut GroupClient,
        positions: &mut Positions,
    ) -> Result<(), Ended> {
        self.pending_records = 0;
        self.flushed_at = now();
        let partitions = positions.ids();
        partitions
            .into_iter()
            .try_for_each(|partition| self.flush_partition(partition, client, positions))
    }

    /// Sends on what is pending of a partition.
    pub(super) fn flush_partition(
        &mut self,
        partition: KafkaPartition,
        client: &mut GroupClient,
        positions: &mut Positions,
    ) -> Result<(), Ended> {
        let Some(fetched) = positions.get_mut(partition) else { return Ok(()) };
        let Some(last) = fetched.pending.last_offset() else { return Ok(()) };
        fetched.position = last.next();
        let mut batch = fetched.pending.take();
        batch.leader_epoch = fetched.leader_epoch;
        self.send(SourceEvent::Records(Box::new(batch)), client, positions)
    }

    /// Sends to the engine. While it is behind, fetching is paused and polls keep the membership. The first poll reports to
    /// librdkafka, which considers a callback a wait for records, that from now on `max.poll.interval.ms` counts.
    pub(super) fn send(
        &mut self,
        event: SourceEvent,
        client: &mut GroupClient,
        positions: &mut Positions,
    ) -> Result<(), Ended> {
        let sender = self.sender.clone();
        let (mut paused, mut limit) = (false, Duration::ZERO);
        let place = loop {
            let place = async { timeout(limit, sender.place_for(&event)).await };
            match self.runtime.block_on(place) {
                Ok(place) => break place.map_err(|_| Ended)?,
                Err(_) if limit.is_zero() => limit = self.send_timeout,
                Err(_) => {
                    paused = true;
                    client.set_paused(&positions.ids(), true);
                }
            }
            client.poll_consumer();
        };
        let sent = sender.send(event, place).map_err(|_| Ended);
        if paused {
            // Those that wait for something stay paused: a seek ends that.
            client.set_paused(&positions.valid_ids(), false);
            positions.invalidate_all(now());
        }
        sent
    }
}

#[cfg(test)]
mod tests;
