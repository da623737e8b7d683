//! Partitions that are to be fetched from another place than where librdkafka is.
//!
//! A partition needs a seek when the engine says so, and after every pause: the poller's own, and those that librdkafka makes
//! in a rebalance. After a pause librdkafka goes on at its own position. That may be too far: a transaction's end that
//! lies in its queue from before the pause moves its position, while the records before that are passed over. A seek also has
//! librdkafka validate the position, which an assignment does not, and fetch it again after a fault, once it has waited.
//!
//! # Consistency
//! librdkafka's own position is never asked for. From a pause on it hands nothing over that is from before; and before it goes
//! on, or before what comes then is accepted, the partition is marked, so that nothing of it is accepted until a seek has
//! succeeded.

use std::time::{Duration, Instant};

use lake_model::KafkaPartition;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::link::Link;
use super::positions::Positions;
use super::{Ended, POLL_TIMEOUT, now};
use crate::source::Start;

/// How long librdkafka may need to fetch a partition that was assigned to it.
const SEEK_PATIENCE: Duration = Duration::from_secs(5);

/// What became of the seek of each partition, or why none was made.
pub(super) type SeekAnswers = KafkaResult<Vec<(KafkaPartition, KafkaResult<()>)>>;

/// Seeks the partitions that need it.
#[derive(Debug, Default)]
pub(super) struct Seeker {
    /// When librdkafka last refused a seek of a partition that it does not fetch.
    refused_at: Option<Instant>,
}

/// Partitions to assign again, because librdkafka does not fetch some of them any more.
#[derive(Debug, PartialEq, Eq)]
struct Reassignment {
    /// Those that it does not fetch.
    idle: Vec<KafkaPartition>,
    /// Where to fetch from: those alone in a cooperative group, or else all that are assigned.
    starts: Vec<Start>,
}

impl Seeker {
    /// Seeks the partitions that need it, and assigns those again that librdkafka does not fetch any more.
    pub(super) fn seek(&mut self, link: &mut Link) -> Result<(), Ended> {
        let starts = self.due(&link.positions, now());
        if starts.is_empty() {
            return Ok(());
        }
        let answers = link.client.seek(&starts);
        for error in self.record(answers, &mut link.positions, now()) {
            link.fail_on_error("seek", Err(error))?;
        }
        // A rebalance waits for an answer, which an assignment would be mistaken for.
        if link.client.has_rebalance() {
            return Ok(());
        }
        match reassignment(&link.positions, link.client.is_cooperative(), now()) {
            Some(again) => assign_again(again, link),
            None => Ok(()),
        }
    }

    /// Where partitions are to be moved to now: nothing for a moment after a refusal.
    fn due(&self, positions: &Positions, now: Instant) -> Vec<Start> {
        let since_refusal = |at| now.saturating_duration_since(at);
        if self.refused_at.is_some_and(|at| since_refusal(at) < POLL_TIMEOUT) {
            return Vec::new();
        }
        positions.needing_seek(|at| at <= now)
    }

    /// Records what became of a seek. Partitions that were refused go on needing one. Returns failures that stay.
    fn record(
        &mut self,
        answers: SeekAnswers,
        positions: &mut Positions,
        now: Instant,
    ) -> Vec<KafkaError> {
        let answers = answers.unwrap_or_else(|error| {
            tracing::warn!(%error, "seeking again");
            self.refused_at = Some(now);
            Vec::new()
        });
        let mut failures = Vec::new();
        for (partition, answer) in answers {
            if answer.as_ref().is_err_and(is_refusal) {
                self.refused_at = Some(now);
                continue;
            }
            positions.validate(partition);
            failures.extend(answer.err());
        }
        failures
    }
}

/// What to assign again: librdkafka does not fetch partitions after an offset that is gone from Kafka. It has not begun yet
/// to fetch some that were assigned a moment ago; those are waited for.
fn reassignment(positions: &Positions, is_cooperative: bool, now: Instant) -> Option<Reassignment> {
    let has_waited = |since| now.saturating_duration_since(since) >= SEEK_PATIENCE;
    let idle = positions.needing_seek(has_waited);
    if idle.is_empty() {
        return None;
    }
    let partitions = idle.iter().map(|start| start.partition).collect();
    let starts = if is_cooperative { idle } else { positions.starts() };
    Some(Reassignment { idle: partitions, starts })
}

fn assign_again(again: Reassignment, link: &mut Link) -> Result<(), Ended> {
    let Reassignment { idle, starts } = again;
    tracing::warn!(partitions = ?idle, "librdkafka does not fetch partitions: assigning them again");
    let now = now();
    for Start { partition, .. } in &starts {
        link.positions.assigned_again(*partition, now);
    }
    link.pause_until_sought(&starts);
    let assigned = link.client.assign_again(&idle, &starts);
    starts.iter().for_each(|start| link.client.route(start.partition));
    link.fail_on_error("assign partitions again", assigned)
}

/// Whether librdkafka does not seek a partition now: it does not fetch it, not yet or not any more, or has paused it meanwhile.
fn is_refusal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::State
                | RDKafkaErrorCode::PreviousInProgress
                | RDKafkaErrorCode::Outdated
        )
    )
}

#[cfg(test)]
mod tests;
