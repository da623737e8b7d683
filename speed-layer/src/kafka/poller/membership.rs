//! Membership of the group: partitions assigned, revoked and out of range, as questions to the engine.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::outgoing::SEND_TIMEOUT;
use super::{Ended, Fetched, Poller};
use crate::decode::DecodedBatch;
use crate::source::{AssignedPartition, SourceEvent, Start};
use lake_kafka::partition_bounds;

/// How long the engine may take to let go of partitions, for which the others in the group wait; below
/// librdkafka's `max.poll.interval.ms` of 5 minutes.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(240);

impl Poller {
    pub(super) fn assign(&mut self, partitions: &[i32], runtime: &Handle) -> Result<(), Ended> {
        tracing::info!(?partitions, "partitions assigned");
        let starts = self.ask_for_starts(partitions, runtime)?;
        let list = self.list_of(&starts);
        let assigned = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list),
            _ => self.consumer.assign(&list),
        };
        self.fail_on_error("assign partitions", assigned, runtime)
    }

    /// Asks Kafka for the bounds of the partitions and the engine for where to start.
    fn ask_for_starts(
        &mut self,
        partitions: &[i32],
        runtime: &Handle,
    ) -> Result<Vec<Start>, Ended> {
        let (mut starts, mut left): (Vec<Start>, _) = (Vec::new(), partitions.to_vec());
        while !left.is_empty() {
            let mut assigned = Vec::new();
            for partition in &left {
                assigned.push(self.bounds_of(*partition, runtime)?);
                self.hear();
            }
            let (reply, answer) = oneshot::channel();
            self.send(SourceEvent::Assigned { partitions: assigned, reply }, runtime)?;
            for start in self.wait_for_starts(answer, runtime)? {
                self.begin(start);
                left.retain(|partition| *partition != start.partition);
                starts.push(start);
            }
        }
        Ok(starts)
    }

    /// From now on records of the partition are of this start.
    pub(super) fn begin(&mut self, start: Start) {
        self.records.route(&self.topic, start.partition);
        let pending = DecodedBatch::new(start.partition, start.epoch);
        let position = start.offset;
        let fetched = Fetched { pending, position, unsought_since: None };
        self.fetched.insert(start.partition, fetched);
    }

    /// Waits for the engine's answer for as long as the engine tries: while the store is away it can't say.
    fn wait_for_starts(
        &mut self,
        mut answer: oneshot::Receiver<Vec<Start>>,
        runtime: &Handle,
    ) -> Result<Vec<Start>, Ended> {
        loop {
            match runtime.block_on(async { timeout(SEND_TIMEOUT, &mut answer).await }) {
                Ok(starts) => return starts.map_err(|_| Ended),
                Err(_) => {
                    self.hear();
                }
            }
        }
    }

    fn bounds_of(&mut self, partition: i32, runtime: &Handle) -> Result<AssignedPartition, Ended> {
        let is_over = || self.stop.load(Ordering::Relaxed);
        let result =
            partition_bounds(&self.consumer, &self.topic, partition, self.request_timeout, is_over);
        match result {
            Ok((low, high)) => Ok(AssignedPartition { partition, low, high }),
            Err(error) => {
                let problem = format!(
                    "ask for the offsets of partition {partition} of topic {}: {error}",
                    self.topic
                );
                self.send(SourceEvent::Failed { problem }, runtime)?;
                Err(Ended)
            }
        }
    }

    pub(super) fn revoke(&mut self, partitions: Vec<i32>, runtime: &Handle) -> Result<(), Ended> {
        tracing::info!(?partitions, "partitions revoked");
        self.fetched.retain(|partition, _| !partitions.contains(partition));
        let list = self.list_of_partitions(&partitions);
        if self.consumer.assignment_lost() {
            self.send(SourceEvent::Lost { partitions }, runtime)?;
        } else {
            let (reply, answer) = oneshot::channel();
            self.send(SourceEvent::Revoked { partitions, reply }, runtime)?;
            if wait(runtime, ENGINE_TIMEOUT, answer).is_none() {
                tracing::warn!(
                    "revoked partitions were not committed in time; they will be replayed"
                );
            }
        }
        let unassigned = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_unassign(&list),
            _ => self.consumer.unassign(),
        };
        self.fail_on_error("give partitions back", unassigned, runtime)
    }

    /// Retention overtook the consumer somewhere: asks the engine anew about every partition whose position
    /// is gone.
    pub(super) fn restart_partitions_out_of_range(
        &mut self,
        runtime: &Handle,
    ) -> Result<(), Ended> {
        self.flush(runtime)?;
        let mut gone = Vec::new();
        let positions: Vec<(i32, i64)> = self
            .fetched
            .iter()
            .map(|(partition, fetched)| (*partition, fetched.position))
            .collect();
        for (partition, position) in positions {
            let bounds = self.bounds_of(partition, runtime)?;
            if position < bounds.low || position > bounds.high {
                gone.push(partition);
            }
            self.hear();
        }
        self.distrust_positions();
        self.restart(&gone, runtime)
    }

    /// Some records of these partitions have passed the queue of records by, and may have been overtaken by others.
    pub(super) fn restart_strays(&mut self, runtime: &Handle) -> Result<(), Ended> {
        let mut strays: Vec<i32> = std::mem::take(&mut self.strays).into_iter().collect();
        strays.retain(|partition| self.fetched.contains_key(partition));
        if strays.is_empty() {
            return Ok(());
        }
        tracing::warn!(partitions = ?strays, "records came out of turn: fetching them again");
        self.restart(&strays, runtime)
    }

    /// Takes partitions away from the engine and asks it anew where to start.
    fn restart(&mut self, partitions: &[i32], runtime: &Handle) -> Result<(), Ended> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.send(SourceEvent::Lost { partitions: partitions.to_vec() }, runtime)?;
        let starts = self.ask_for_starts(partitions, runtime)?;
        starts.into_iter().for_each(|start| self.begin_elsewhere(start));
        Ok(())
    }

    pub(super) fn fail_on_error(
        &mut self,
        action: &str,
        result: KafkaResult<()>,
        runtime: &Handle,
    ) -> Result<(), Ended> {
        match result {
            Ok(()) => Ok(()),
            Err(error) => {
                let problem = format!("{action} of topic {}: {error}", self.topic);
                self.send(SourceEvent::Failed { problem }, runtime)
            }
        }
    }

    pub(super) fn list_of(&self, starts: &[Start]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for start in starts {
            list.add_partition_offset(&self.topic, start.partition, Offset::Offset(start.offset))
                .expect("offsets from 0 are valid");
        }
        list
    }
}

fn wait<T>(runtime: &Handle, limit: Duration, answer: oneshot::Receiver<T>) -> Option<T> {
    runtime.block_on(async { timeout(limit, answer).await }).ok()?.ok()
}
