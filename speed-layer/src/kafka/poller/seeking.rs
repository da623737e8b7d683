//! Partitions that are to be fetched from another place than where librdkafka takes them to be.
//!
//! A partition is sought when the engine says so, and after every pause: the poller's own, and those that librdkafka makes in
//! a rebalance. After a pause librdkafka goes on where it takes itself to be. That may be too far: a transaction's end that
//! lies in its queue from before the pause moves its position, while the records before that are passed over.
//!
//! # Consistency
//! librdkafka's own position is never asked for. From a pause on it hands nothing over that is from before; and before it goes
//! on, or before what comes then is accepted, the partition is marked, so that nothing of it is accepted until it is sought.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{Ended, POLL_TIMEOUT, Poller, now};
use crate::source::Start;

/// How long librdkafka may need to fetch a partition that was assigned to it.
const SEEK_PATIENCE: Duration = Duration::from_secs(5);

impl Poller {
    /// Fetches a partition anew from another offset, unless it was taken away or started anew since that was asked.
    pub(super) fn begin_elsewhere(&mut self, start: Start) {
        if self.positions.begin_elsewhere(start, now()) {
            self.client.route(start.partition);
        }
    }

    /// Seeks the partitions that need it.
    pub(super) fn seek(&mut self) -> Result<(), Ended> {
        let starts = self.positions.needing_seek(|_| true);
        let is_early = self.refused_at.is_some_and(|at| at.elapsed() < POLL_TIMEOUT);
        if starts.is_empty() || is_early {
            return Ok(());
        }
        match self.client.seek(&starts) {
            Ok(answers) => {
                for answer in answers.elements() {
                    let sought = answer.error();
                    if sought.as_ref().is_err_and(is_refused) {
                        self.refused_at = Some(now());
                        continue;
                    }
                    self.positions.validate(answer.partition());
                    self.fail_on_error("seek", sought)?;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "seeking again");
                self.refused_at = Some(now());
            }
        }
        self.assign_again()
    }

    /// Assigns partitions again that librdkafka does not fetch any more, as after an offset that is gone from Kafka. It
    /// has not begun yet to fetch some that were assigned a moment ago; those are waited for.
    fn assign_again(&mut self) -> Result<(), Ended> {
        let idle = self.positions.needing_seek(|since| since.elapsed() >= SEEK_PATIENCE);
        // A rebalance waits for an answer, which this would be taken for.
        if idle.is_empty() || self.client.has_rebalance() {
            return Ok(());
        }
        let partitions: Vec<i32> = idle.iter().map(|start| start.partition).collect();
        tracing::warn!(?partitions, "librdkafka does not fetch partitions: assigning them again");
        let (starts, assigned) = if self.client.is_cooperative() {
            let gone = self.client.unassign(&partitions);
            let begun = gone.and_then(|()| self.client.assign(&idle));
            (idle, begun)
        } else {
            self.positions.invalidate_all(now());
            let all = self.positions.needing_seek(|_| true);
            let begun = self.client.assign(&all);
            (all, begun)
        };
        for Start { partition, .. } in starts {
            self.client.route(partition);
            self.positions.validate(partition);
        }
        self.fail_on_error("assign partitions again", assigned)
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
