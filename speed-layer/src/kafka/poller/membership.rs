//! Membership of the group: partitions assigned, revoked and out of range, as questions to the engine.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::error::KafkaResult;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::delivery::SEND_TIMEOUT;
use super::{Ended, Poller, now};
use crate::source::{AssignedPartition, SourceEvent, Start};

/// How long the engine may need to release partitions, for which the others in the group wait; below
/// librdkafka's `max.poll.interval.ms` of 5 minutes.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(240);

impl Poller {
    pub(super) fn assign(&mut self, partitions: &[i32]) -> Result<(), Ended> {
        tracing::info!(?partitions, "partitions assigned");
        let starts = self.ask_for_starts(partitions)?;
        let assigned = self.client.assign(&starts);
        self.fail_on_error("assign partitions", assigned)
    }

    /// Asks Kafka for the bounds of the partitions and the engine for where to start.
    fn ask_for_starts(&mut self, partitions: &[i32]) -> Result<Vec<Start>, Ended> {
        let (mut starts, mut left): (Vec<Start>, _) = (Vec::new(), partitions.to_vec());
        while !left.is_empty() {
            let mut assigned = Vec::new();
            for partition in &left {
                assigned.push(self.bounds_of(*partition)?);
                self.client.poll_consumer();
            }
            let (reply, answer) = oneshot::channel();
            self.send(SourceEvent::Assigned { partitions: assigned, reply })?;
            for start in self.wait_for_starts(answer)? {
                self.client.route(start.partition);
                self.positions.begin(start);
                left.retain(|partition| *partition != start.partition);
                starts.push(start);
            }
        }
        Ok(starts)
    }

    /// Waits for the engine's answer for as long as the engine tries: while the store is away it can't say.
    fn wait_for_starts(
        &mut self,
        mut answer: oneshot::Receiver<Vec<Start>>,
    ) -> Result<Vec<Start>, Ended> {
        loop {
            let waited = async { timeout(SEND_TIMEOUT, &mut answer).await };
            match self.delivery.runtime().block_on(waited) {
                Ok(starts) => return starts.map_err(|_| Ended),
                Err(_) => {
                    self.client.poll_consumer();
                }
            }
        }
    }

    fn bounds_of(&mut self, partition: i32) -> Result<AssignedPartition, Ended> {
        let is_over = || self.stop.load(Ordering::Relaxed);
        match self.client.bounds_of(partition, is_over) {
            Ok((low, high)) => Ok(AssignedPartition { partition, low, high }),
            Err(error) => {
                let topic = self.client.topic();
                let problem = format!(
                    "ask for the offsets of partition {partition} of topic {topic}: {error}"
                );
                self.send(SourceEvent::Failed { problem })?;
                Err(Ended)
            }
        }
    }

    pub(super) fn revoke(&mut self, partitions: Vec<i32>) -> Result<(), Ended> {
        tracing::info!(?partitions, "partitions revoked");
        self.positions.release(&partitions);
        let revoked = partitions.clone();
        if self.client.has_lost_its_assignment() {
            self.send(SourceEvent::Lost { partitions })?;
        } else {
            let (reply, answer) = oneshot::channel();
            self.send(SourceEvent::Revoked { partitions, reply })?;
            let released = async { timeout(ENGINE_TIMEOUT, answer).await };
            if !matches!(self.delivery.runtime().block_on(released), Ok(Ok(()))) {
                tracing::warn!(
                    "revoked partitions were not committed in time; they will be replayed"
                );
            }
        }
        let unassigned = self.client.unassign(&revoked);
        self.fail_on_error("give partitions back", unassigned)
    }

    /// Retention overtook the consumer somewhere: asks the engine anew about every partition whose position
    /// is gone.
    pub(super) fn restart_partitions_out_of_range(&mut self) -> Result<(), Ended> {
        self.flush()?;
        let mut gone = Vec::new();
        for (partition, position) in self.positions.positions() {
            let bounds = self.bounds_of(partition)?;
            if position < bounds.low || position > bounds.high {
                gone.push(partition);
            }
            self.client.poll_consumer();
        }
        self.positions.invalidate_all(now());
        self.restart(&gone)
    }

    /// Some records of these partitions have passed the queue of records by, and may have been overtaken by others.
    pub(super) fn restart_strays(&mut self) -> Result<(), Ended> {
        let mut strays = self.client.take_strays();
        strays.retain(|partition| self.positions.contains(*partition));
        if strays.is_empty() {
            return Ok(());
        }
        tracing::warn!(partitions = ?strays, "records came out of turn: fetching them again");
        self.restart(&strays)
    }

    /// Takes partitions away from the engine and asks it anew where to start.
    fn restart(&mut self, partitions: &[i32]) -> Result<(), Ended> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.send(SourceEvent::Lost { partitions: partitions.to_vec() })?;
        let starts = self.ask_for_starts(partitions)?;
        starts.into_iter().for_each(|start| self.begin_elsewhere(start));
        Ok(())
    }

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
}
