//! Membership of the group: partitions assigned, revoked, and to be started anew, as questions to the engine.
//!
//! What is to be asked is decided by [`Assignment`] and [`out_of_range`] from facts alone; [`Membership`] asks Kafka and the
//! engine, and does what they answer.
//!
//! # Consistency
//! A partition is assigned only with the start that the engine gave for it, and returned only once the engine has released
//! it. Whatever was decoded before a rebalance is sent on before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lake_kafka::is_permanent;
use lake_model::{KafkaPartition, Offset};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::link::Link;
use super::{Ended, now};
use crate::kafka::context::Rebalance;
use crate::source::{AssignedPartition, SourceEvent, Start, Truncation};

/// How long the engine may need to release partitions, for which the others in the group wait; below
/// librdkafka's `max.poll.interval.ms` of 5 minutes.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(240);

/// How long to wait before a log is looked at again that has to grow.
const GROWTH_WAIT: Duration = Duration::from_secs(1);

/// Assigns and returns partitions as the group and the engine say.
pub(super) struct Membership {
    /// Whether waiting for Kafka is over.
    stop: Arc<AtomicBool>,
}

impl Membership {
    /// Waits for Kafka until `stop` is set.
    pub(super) fn new(stop: Arc<AtomicBool>) -> Membership {
        Membership { stop }
    }

    /// Handles a rebalance. librdkafka has paused what stays assigned, and goes on with it once this is done.
    pub(super) fn handle(&self, rebalance: Rebalance, link: &mut Link) -> Result<(), Ended> {
        link.positions.invalidate_all(now());
        link.flush()?;
        match rebalance {
            Rebalance::Assign(partitions) => self.assign(&partitions, link),
            Rebalance::Revoke(partitions) => revoke(partitions, link),
        }
    }

    /// Retention overtook the consumer somewhere: asks the engine anew about every partition whose position is gone.
    pub(super) fn restart_out_of_range(&self, link: &mut Link) -> Result<(), Ended> {
        link.flush()?;
        let positions = link.positions.positions();
        let mut bounds = Vec::new();
        for (partition, _) in &positions {
            bounds.push(self.bounds_of(*partition, link)?);
            link.client.poll_consumer();
        }
        link.positions.invalidate_all(now());
        self.restart(&out_of_range(&positions, &bounds), None, link)
    }

    /// Kafka's log of the partition is not the one that was read before its position: asks the engine anew.
    pub(super) fn restart_truncated(
        &self,
        partition: KafkaPartition,
        truncation: Truncation,
        link: &mut Link,
    ) -> Result<(), Ended> {
        let Truncation { position, end, .. } = truncation;
        let (partition_id, position, end) = (partition.0, position.0, end.map(|end| end.0));
        tracing::warn!(
            partition = partition_id,
            position,
            end,
            "Kafka's log was cut before the position"
        );
        self.restart(&[partition], Some(truncation), link)
    }

    /// Asks the engine anew about a partition if Kafka does not have its position. Returns whether that is so.
    pub(super) fn restart_if_out_of_range(
        &self,
        start: Start,
        link: &mut Link,
    ) -> Result<bool, Ended> {
        let Start { partition, offset, leader_epoch, .. } = start;
        let bounds = self.bounds_of(partition, link)?;
        let gone = out_of_range(&[(partition, offset)], &[bounds]);
        // Without an epoch beside the position, its end alone does not say whether the log was cut or is another topic's. Where it
        // was cut is not known: the end may lie behind that by now, or before it where a transaction is open.
        let is_cut = leader_epoch.is_some() && offset > bounds.high;
        let truncation = is_cut.then_some(Truncation { position: offset, end: None, leader_epoch });
        link.positions.invalidate(partition, now());
        self.restart(&gone, truncation, link)?;
        Ok(!gone.is_empty())
    }

    /// Looks whether logs have grown to where partitions are that wait for it.
    pub(super) fn look_for_growth(&self, link: &mut Link) -> Result<(), Ended> {
        for Start { partition, offset, .. } in link.positions.awaiting_growth(now()) {
            // Asked once only: others wait for this thread, and this partition is looked at again anyway.
            match link.client.bounds_of(partition, || true) {
                Ok(held) if held.next >= offset => link.positions.has_grown(partition, now()),
                Err(error) if is_permanent(&error) => {
                    link.fail_on_error(&asking_for_bounds(partition), Err(error))?;
                }
                _ => link.positions.wait_for_growth(partition, now() + GROWTH_WAIT),
            }
            link.client.poll_consumer();
        }
        Ok(())
    }

    /// Some records of these partitions came beside the queue of records, and may have been overtaken by others: asks the
    /// engine anew about those that are assigned.
    pub(super) fn restart_misrouted(
        &self,
        mut partitions: Vec<KafkaPartition>,
        link: &mut Link,
    ) -> Result<(), Ended> {
        partitions.retain(|partition| link.positions.contains(*partition));
        if !partitions.is_empty() {
            tracing::warn!(?partitions, "records came out of turn: fetching them again");
        }
        self.restart(&partitions, None, link)
    }

    fn assign(&self, partitions: &[KafkaPartition], link: &mut Link) -> Result<(), Ended> {
        tracing::info!(?partitions, "partitions assigned");
        let starts = self.ask_for_starts(partitions, None, link)?;
        link.pause_until_sought(&starts);
        let assigned = link.client.assign(&starts);
        link.fail_on_error("assign partitions", assigned)
    }

    /// Takes partitions away from the engine and asks it anew where to start.
    fn restart(
        &self,
        partitions: &[KafkaPartition],
        truncation: Option<Truncation>,
        link: &mut Link,
    ) -> Result<(), Ended> {
        if partitions.is_empty() {
            return Ok(());
        }
        link.send(SourceEvent::Lost { partitions: partitions.to_vec() })?;
        let now = now();
        for Start { partition, .. } in self.ask_for_starts(partitions, truncation, link)? {
            link.positions.invalidate(partition, now);
        }
        Ok(())
    }

    /// Asks Kafka for the bounds of the partitions and the engine for where to start.
    fn ask_for_starts(
        &self,
        partitions: &[KafkaPartition],
        truncation: Option<Truncation>,
        link: &mut Link,
    ) -> Result<Vec<Start>, Ended> {
        let mut assignment = Assignment::of(partitions);
        while !assignment.unanswered().is_empty() {
            let mut assigned = Vec::new();
            for partition in assignment.unanswered() {
                assigned
                    .push(AssignedPartition { truncation, ..self.bounds_of(*partition, link)? });
                link.client.poll_consumer();
            }
            let (reply, answer) = oneshot::channel();
            link.send(SourceEvent::Assigned { partitions: assigned.clone(), reply })?;
            let starts = wait_for_starts(answer, link)?;
            for start in &starts {
                link.client.route(start.partition);
                link.positions.begin(*start, now());
                if is_beyond_end(*start, &assigned) {
                    link.positions.wait_for_growth(start.partition, now() + GROWTH_WAIT);
                }
            }
            assignment.answer(&starts);
        }
        Ok(assignment.into_starts())
    }

    fn bounds_of(
        &self,
        partition: KafkaPartition,
        link: &mut Link,
    ) -> Result<AssignedPartition, Ended> {
        let is_over = || self.stop.load(Ordering::Relaxed);
        match link.client.bounds_of(partition, is_over) {
            Ok(held) => Ok(AssignedPartition {
                partition,
                low: held.first,
                high: held.next,
                truncation: None,
            }),
            Err(error) => {
                link.fail_on_error(&asking_for_bounds(partition), Err(error))?;
                Err(Ended)
            }
        }
    }
}

fn asking_for_bounds(partition: KafkaPartition) -> String {
    format!("ask for the offsets of partition {partition}")
}

/// Waits for the engine's answer for as long as the engine tries: while the store is away it can't say.
fn wait_for_starts(
    mut answer: oneshot::Receiver<Vec<Start>>,
    link: &mut Link,
) -> Result<Vec<Start>, Ended> {
    loop {
        let waited = async { timeout(link.waits.engine, &mut answer).await };
        match link.delivery.runtime().block_on(waited) {
            Ok(starts) => return starts.map_err(|_| Ended),
            Err(_) => {
                link.client.poll_consumer();
            }
        }
    }
}

fn revoke(partitions: Vec<KafkaPartition>, link: &mut Link) -> Result<(), Ended> {
    tracing::info!(?partitions, "partitions revoked");
    link.positions.release(&partitions);
    let revoked = partitions.clone();
    if link.client.has_lost_its_assignment() {
        link.send(SourceEvent::Lost { partitions })?;
    } else {
        let (reply, answer) = oneshot::channel();
        link.send(SourceEvent::Revoked { partitions, reply })?;
        let released = async { timeout(ENGINE_TIMEOUT, answer).await };
        if !matches!(link.delivery.runtime().block_on(released), Ok(Ok(()))) {
            tracing::warn!("revoked partitions were not committed in time; they will be replayed");
        }
    }
    let unassigned = link.client.unassign(&revoked);
    link.fail_on_error("return partitions", unassigned)
}

/// An assignment under way: the starts that the engine has given, and the partitions that it has given none for yet.
#[derive(Debug, PartialEq, Eq)]
struct Assignment {
    unanswered: Vec<KafkaPartition>,
    starts: Vec<Start>,
}

impl Assignment {
    fn of(partitions: &[KafkaPartition]) -> Assignment {
        Assignment { unanswered: partitions.to_vec(), starts: Vec::new() }
    }

    /// The partitions to ask about, with what Kafka has of them by now.
    fn unanswered(&self) -> &[KafkaPartition] {
        &self.unanswered
    }

    /// The engine has given these starts. A partition that it left out is asked about again.
    fn answer(&mut self, starts: &[Start]) {
        let has_start =
            |partition: &KafkaPartition| starts.iter().any(|start| start.partition == *partition);
        self.unanswered.retain(|partition| !has_start(partition));
        self.starts.extend(starts);
    }

    fn into_starts(self) -> Vec<Start> {
        self.starts
    }
}

/// Whether a partition is to start where its log has to grow to first. Where a leader epoch is known, Kafka says whether
/// that is so.
fn is_beyond_end(start: Start, assigned: &[AssignedPartition]) -> bool {
    let mut of_partition = assigned.iter().filter(|bounds| bounds.partition == start.partition);
    start.leader_epoch.is_none() && of_partition.any(|bounds| start.offset > bounds.high)
}

/// The partitions whose position lies outside what Kafka has of them.
fn out_of_range(
    positions: &[(KafkaPartition, Offset)],
    bounds: &[AssignedPartition],
) -> Vec<KafkaPartition> {
    let is_gone = |partition: KafkaPartition, position: Offset| {
        let mut of_partition = bounds.iter().filter(|bounds| bounds.partition == partition);
        of_partition.any(|bounds| position < bounds.low || position > bounds.high)
    };
    let gone = positions.iter().filter(|(partition, position)| is_gone(*partition, *position));
    gone.map(|(partition, _)| *partition).collect()
}

#[cfg(test)]
mod tests;
