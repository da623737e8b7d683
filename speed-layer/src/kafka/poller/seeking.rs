//! Partitions that are to be fetched from another place than where librdkafka takes them to be.
//!
//! A partition is sought when the engine says so, and after every pause, the poller's own and those that librdkafka makes in a
//! cooperative rebalance. After a pause librdkafka goes on where it takes itself to be. That may be too far: a transaction's
//! end that lies in its queue from before the pause moves its position, while the records before that are passed over.
//!
//! # Consistency
//! From the moment on that a partition is to be sought until it is, nothing that comes of it is taken, and librdkafka's
//! position is told to nobody until something has come from the new place.

use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::runtime::Handle;

use super::{Ended, Fetched, Poller};
use crate::source::Start;

/// How long librdkafka may take to fetch a partition that was assigned to it.
const SEEK_PATIENCE: Duration = Duration::from_secs(5);

impl Poller {
    /// Fetches a partition anew from another offset, unless it was taken away or started anew since that was asked.
    pub(super) fn begin_elsewhere(&mut self, start: Start) {
        let held = self.fetched.get(&start.partition);
        if held.is_some_and(|held| held.pending.epoch <= start.epoch) {
            self.begin(start);
            self.fetched.entry(start.partition).and_modify(Fetched::distrust);
        }
    }

    /// Has all partitions sought where they are. To be called after every pause.
    pub(super) fn distrust_positions(&mut self) {
        self.fetched.values_mut().for_each(Fetched::distrust);
    }

    /// Seeks the partitions that are to be sought.
    pub(super) fn seek(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let starts = self.unsought(|_| true);
        if starts.is_empty() {
            return Ok(());
        }
        match self.consumer.seek_partitions(self.list_of(&starts), self.request_timeout) {
            Ok(answers) => {
                for answer in answers.elements() {
                    let sought = answer.error();
                    if sought.as_ref().is_err_and(is_not_fetched) {
                        continue;
                    }
                    self.fetched
                        .entry(answer.partition())
                        .and_modify(|fetched| fetched.unsought_since = None);
                    self.fail_on_error("seek", sought, runtime)?;
                }
            }
            failed => self.fail_on_error("seek", failed.map(|_| ()), runtime)?,
        }
        self.assign_again(runtime)
    }

    /// Assigns partitions again that librdkafka does not fetch any more, as after an offset that is gone from Kafka. It
    /// has not begun yet to fetch some that were assigned a moment ago; those are waited for.
    fn assign_again(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let idle = self.unsought(|since| since.elapsed() >= SEEK_PATIENCE);
        if idle.is_empty() {
            return Ok(());
        }
        let partitions: Vec<i32> = idle.iter().map(|start| start.partition).collect();
        tracing::warn!(?partitions, "librdkafka does not fetch partitions: assigning them again");
        let (starts, assigned) = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => {
                let gone =
                    self.consumer.incremental_unassign(&self.list_of_partitions(&partitions));
                let begun =
                    gone.and_then(|()| self.consumer.incremental_assign(&self.list_of(&idle)));
                (idle, begun)
            }
            _ => {
                self.distrust_positions();
                let all = self.unsought(|_| true);
                let begun = self.consumer.assign(&self.list_of(&all));
                (all, begun)
            }
        };
        for Start { partition, .. } in starts {
            self.records.route(&self.topic, partition);
            self.fetched.entry(partition).and_modify(|fetched| fetched.unsought_since = None);
        }
        self.fail_on_error("assign partitions again", assigned, runtime)
    }

    /// Where partitions are to be sought that have waited for it so long.
    fn unsought(&self, has_waited: impl Fn(Instant) -> bool) -> Vec<Start> {
        let unsought = self
            .fetched
            .iter()
            .filter(|(_, fetched)| fetched.unsought_since.is_some_and(&has_waited));
        let start = |(partition, fetched): (&i32, &Fetched)| Start {
            partition: *partition,
            offset: fetched.next_offset(),
            epoch: fetched.pending.epoch,
        };
        unsought.map(start).collect()
    }
}

/// Whether librdkafka says that a partition cannot be sought since it is not fetched: not yet, or not any more.
fn is_not_fetched(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::State | RDKafkaErrorCode::PreviousInProgress)
    )
}
