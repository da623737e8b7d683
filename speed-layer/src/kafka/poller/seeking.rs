//! Partitions that are to be fetched from another place than where librdkafka takes them to be.
//!
//! A partition is sought when the engine says so, and after every pause: the poller's own, and those that librdkafka makes in
//! a rebalance. After a pause librdkafka goes on where it takes itself to be. That may be too far: a transaction's end that
//! lies in its queue from before the pause moves its position, while the records before that are passed over.
//!
//! # Consistency
//! librdkafka's own position is never asked for. From a pause on it hands nothing over that is from before; and before it goes
//! on, or before what comes then is taken, the partition is marked, so that nothing of it is taken until it is sought.

use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::runtime::Handle;

use super::{Ended, Fetched, POLL_TIMEOUT, Poller, now};
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
        let is_early = self.refused_at.is_some_and(|at| at.elapsed() < POLL_TIMEOUT);
        if starts.is_empty() || is_early {
            return Ok(());
        }
        let list = self.list_of(&starts);
        match self.consumer.seek_partitions(list, self.request_timeout) {
            Ok(answers) => {
                for answer in answers.elements() {
                    let sought = answer.error();
                    if sought.as_ref().is_err_and(is_refused) {
                        self.refused_at = Some(now());
                        continue;
                    }
                    self.fetched
                        .entry(answer.partition())
                        .and_modify(|fetched| fetched.unsought_since = None);
                    self.fail_on_error("seek", sought, runtime)?;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "seeking again");
                self.refused_at = Some(now());
            }
        }
        self.assign_again(runtime)
    }

    /// Assigns partitions again that librdkafka does not fetch any more, as after an offset that is gone from Kafka. It
    /// has not begun yet to fetch some that were assigned a moment ago; those are waited for.
    fn assign_again(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let idle = self.unsought(|since| since.elapsed() >= SEEK_PATIENCE);
        // A rebalance waits for an answer, which this would be taken for.
        if idle.is_empty() || self.consumer.context().has_rebalance() {
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

/// Whether librdkafka does not seek a partition now: it does not fetch it, not yet or not any more, or has paused it meanwhile.
fn is_refused(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::State
                | RDKafkaErrorCode::PreviousInProgress
                | RDKafkaErrorCode::Outdated
        )
    )
}
