//! The link between the group and the engine: librdkafka's client, where each partition is, and the way to the engine, with
//! the actions that need all three.

use std::time::Duration;

use lake_model::{KafkaPartition, Offset};
use rdkafka::error::KafkaResult;
use speed_layer_fetch::Record;

use super::client::GroupClient;
use super::delivery::Delivery;
use super::positions::Positions;
use super::{Ended, Waits, now};
use crate::source::{SourceEvent, Start};

/// What records pass through, and what rebalances and seeks act on.
pub(super) struct Link {
    pub(super) client: GroupClient,
    pub(super) positions: Positions,
    pub(super) delivery: Delivery,
    pub(super) waits: Waits,
}

impl Link {
    /// Joins `client` and `delivery`, with no partition assigned.
    pub(super) fn new(client: GroupClient, delivery: Delivery, waits: Waits) -> Link {
        Link { client, positions: Positions::new(waits), delivery, waits }
    }

    /// As [`Delivery::accept`].
    pub(super) fn accept(&mut self, record: &Record<'_>) -> Result<(), Ended> {
        self.delivery.accept(record, &mut self.client, &mut self.positions)
    }

    /// As [`Delivery::report_end`].
    pub(super) fn report_end(
        &mut self,
        partition: KafkaPartition,
        next: Offset,
    ) -> Result<(), Ended> {
        self.delivery.report_end(partition, next, &mut self.client, &mut self.positions)
    }

    /// As [`Delivery::flush_after`].
    pub(super) fn flush_after(&mut self, wait: Duration) -> Result<(), Ended> {
        self.delivery.flush_after(wait, &mut self.client, &mut self.positions)
    }

    /// As [`Delivery::flush_partition`].
    pub(super) fn flush_partition(&mut self, partition: KafkaPartition) -> Result<(), Ended> {
        self.delivery.flush_partition(partition, &mut self.client, &mut self.positions)
    }

    /// As [`Delivery::flush`].
    pub(super) fn flush(&mut self) -> Result<(), Ended> {
        self.delivery.flush(&mut self.client, &mut self.positions)
    }

    /// As [`Delivery::send`].
    pub(super) fn send(&mut self, event: SourceEvent) -> Result<(), Ended> {
        self.delivery.send(event, &mut self.client, &mut self.positions)
    }

    /// Has librdkafka pause those of the partitions about to be assigned whose position has to be sought first, so that it
    /// fetches nothing from a position that is not validated. Pauses outlast assignments: those of the others end.
    pub(super) fn pause_until_sought(&mut self, starts: &[Start]) {
        let ids = starts.iter().map(|start| start.partition);
        let (valid, waiting): (Vec<KafkaPartition>, Vec<KafkaPartition>) =
            ids.partition(|id| self.positions.valid(*id).is_some());
        self.client.set_paused(&waiting, true);
        self.client.set_paused(&valid, false);
    }

    /// Reports to the engine that an action on the topic failed for good.
    pub(super) fn fail_on_error(
        &mut self,
        action: &str,
        result: KafkaResult<()>,
    ) -> Result<(), Ended> {
        match result {
            Ok(()) => Ok(()),
            Err(error) => {
                let problem = format!("{action} of topic {}: {error}", self.client.topic());
                self.send(SourceEvent::Failed { problem })
            }
        }
    }

    /// Fetches a partition anew from another offset, unless it was taken away or started anew since that was asked.
    pub(super) fn begin_elsewhere(&mut self, start: Start) {
        if self.positions.begin_elsewhere(start, now()) {
            self.client.route(start.partition);
        }
    }
}
