//! Watermark resets in the logs: asked for in `avg_speed`, in force and on record in `events`.
//!
//! A partition's resets are counted from 1. The app id of the count fences writers that do not know of the newest
//! one; those of each reset keep what it was, for as long as the table lives (transactions outlast log entries).
//! `docs/commit-protocol.md` has the steps.

use lake_model::{KafkaPartition, Offset, Timestamp};

use super::AppIds;
use lake_delta::TableState;

/// A watermark that was set back, by setting back the greatest event time that it follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatermarkReset {
    /// The partition.
    pub partition: KafkaPartition,
    /// The first offset that it holds for.
    pub offset: Offset,
    /// The greatest event time before that offset.
    pub from: Timestamp,
    /// What it counts as instead.
    pub to: Timestamp,
    /// When this was asked for.
    pub requested_at: Timestamp,
}

impl AppIds {
    /// How many resets of `partition` the log behind `state` has.
    pub fn reset_count(&self, state: &TableState, partition: KafkaPartition) -> usize {
        state
            .txn(&self.resets(partition))
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(0)
    }

    /// The transactions that ask for reset `number` of `partition`.
    pub fn request_reset(
        &self,
        partition: KafkaPartition,
        number: usize,
        to: Timestamp,
        requested_at: Timestamp,
    ) -> Vec<(String, i64)> {
        vec![
            (self.resets(partition), i64::try_from(number).unwrap_or(i64::MAX)),
            (self.reset(partition, number, "to"), to.micros()),
            (self.reset(partition, number, "requested_at"), requested_at.micros()),
        ]
    }

    /// What reset `number` of `partition` was asked to set the greatest event time to, and when it was asked for.
    pub fn requested_reset(
        &self,
        state: &TableState,
        partition: KafkaPartition,
        number: usize,
    ) -> Option<(Timestamp, Timestamp)> {
        let time = |what| self.reset_time(state, partition, number, what);
        Some((time("to")?, time("requested_at")?))
    }

    /// The transactions that put `reset` in force, which is that of `number`.
    pub fn record_reset(&self, number: usize, reset: &WatermarkReset) -> Vec<(String, i64)> {
        let WatermarkReset { partition, offset, from, to, requested_at } = *reset;
        let mut txns = self.request_reset(partition, number, to, requested_at);
        txns.push((self.reset(partition, number, "from"), from.micros()));
        txns.push((self.reset(partition, number, "offset"), offset.0));
        txns
    }

    /// The resets of `partition` that are in force by `state`, which is one of `events`, in their order.
    pub fn watermark_resets(
        &self,
        state: &TableState,
        partition: KafkaPartition,
    ) -> Vec<WatermarkReset> {
        let reset = |number| {
            let (to, requested_at) = self.requested_reset(state, partition, number)?;
            let from = self.reset_time(state, partition, number, "from")?;
            let offset = state.txn(&self.reset(partition, number, "offset")).map(Offset)?;
            Some(WatermarkReset { partition, offset, from, to, requested_at })
        };
        (1..=self.reset_count(state, partition)).filter_map(reset).collect()
    }

    fn reset_time(
        &self,
        state: &TableState,
        partition: KafkaPartition,
        number: usize,
        what: &str,
    ) -> Option<Timestamp> {
        state.txn(&self.reset(partition, number, what)).map(Timestamp::from_micros)
    }

    fn resets(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}:watermark_resets", self.prefix)
    }

    fn reset(&self, partition: KafkaPartition, number: usize, what: &str) -> String {
        format!("{}:{partition}:watermark_reset:{number}:{what}", self.prefix)
    }
}
