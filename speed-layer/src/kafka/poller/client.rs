//! The group's consumer: what it has to say beside records, and what it is asked to do with partitions.
//!
//! Records come through a queue of their own. Rebalances wait in the consumer's context, errors and the partitions of
//! misrouted records here, until the poller handles them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lake_kafka::partition_bounds;
use lake_model::{KafkaPartition, LeaderEpoch, Offset, OffsetRange};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use speed_layer_fetch::RecordQueue;
use speed_layer_fetch::leader_epoch::{self, set_leader_epoch};

use super::now;
use super::seeker::SeekAnswers;
use crate::kafka::context::{GroupContext, Rebalance};
use crate::source::Start;

/// How often partitions are routed again: librdkafka ends a route some time after a partition was taken away, be it
/// assigned again meanwhile.
const ROUTE_INTERVAL: Duration = Duration::from_secs(1);

/// The consumer of one topic in its group.
pub(super) struct GroupClient {
    consumer: Arc<BaseConsumer<GroupContext>>,
    records: Arc<RecordQueue<GroupContext>>,
    topic: String,
    request_timeout: Duration,
    routed_at: Instant,
    /// Errors that came beside records.
    errors: VecDeque<KafkaError>,
    /// Partitions whose records came beside the queue of records, as those of a topic that was made anew may.
    misrouted: BTreeSet<KafkaPartition>,
}

impl GroupClient {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<GroupContext>>,
        topic: String,
        request_timeout: Duration,
    ) -> GroupClient {
        GroupClient {
            records: Arc::new(RecordQueue::new(Arc::clone(&consumer))),
            consumer,
            topic,
            request_timeout,
            routed_at: now(),
            errors: VecDeque::new(),
            misrouted: BTreeSet::new(),
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// The queue that records of routed partitions come through.
    pub(super) fn records(&self) -> Arc<RecordQueue<GroupContext>> {
        Arc::clone(&self.records)
    }

    /// Receives all that has come beside records, and routes the partitions `held` again when it is time.
    pub(super) fn serve(&mut self, held: impl Iterator<Item = KafkaPartition>) {
        while self.poll_consumer() {}
        if self.routed_at.elapsed() >= ROUTE_INTERVAL {
            held.for_each(|partition| self.route(partition));
            self.routed_at = now();
        }
    }

    /// Receives one thing that comes beside records: rebalances and statistics go to the context, errors and
    /// misrouted partitions wait for their turn. Returns whether there was any for the poller itself. Without this, the group
    /// would consider this instance dead.
    pub(super) fn poll_consumer(&mut self) -> bool {
        match self.consumer.poll(Duration::ZERO) {
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.misrouted.extend([KafkaPartition(partition)]);
            }
            Some(Err(error)) => self.errors.push_back(error),
            Some(Ok(message)) => self.misrouted.extend([KafkaPartition(message.partition())]),
            None => return false,
        }
        true
    }

    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.consumer.context().next_rebalance()
    }

    pub(super) fn has_rebalance(&self) -> bool {
        self.consumer.context().has_rebalance()
    }

    /// Whether rebalances, errors or misrouted partitions wait to be handled.
    pub(super) fn has_news(&self) -> bool {
        self.has_rebalance() || !self.errors.is_empty() || !self.misrouted.is_empty()
    }

    pub(super) fn next_error(&mut self) -> Option<KafkaError> {
        self.errors.pop_front()
    }

    /// The partitions whose records came beside the queue of records since this was last asked.
    pub(super) fn drain_misrouted(&mut self) -> Vec<KafkaPartition> {
        std::mem::take(&mut self.misrouted).into_iter().collect()
    }

    /// From now on records of the partition come through the queue.
    pub(super) fn route(&self, partition: KafkaPartition) {
        self.records.route(&self.topic, partition.0);
    }

    /// What Kafka still has of a partition, up to its last stable offset.
    pub(super) fn bounds_of(
        &self,
        partition: KafkaPartition,
        is_over: impl Fn() -> bool,
    ) -> KafkaResult<OffsetRange> {
        partition_bounds(&self.consumer, &self.topic, partition, self.request_timeout, is_over)
    }

    /// Whether the group's protocol changes assignments step by step.
    pub(super) fn is_cooperative(&self) -> bool {
        matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative)
    }

    /// Whether partitions were taken away without notice, so that another instance may own them.
    pub(super) fn has_lost_its_assignment(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// Fetches partitions from these offsets: besides those fetched before if the group is cooperative, or else instead.
    pub(super) fn assign(&self, starts: &[Start]) -> KafkaResult<()> {
        let list = self.list_of(starts);
        match self.is_cooperative() {
            true => self.consumer.incremental_assign(&list),
            false => self.consumer.assign(&list),
        }
    }

    /// Returns partitions to the group: these if the group is cooperative, or else all.
    pub(super) fn unassign(&self, partitions: &[KafkaPartition]) -> KafkaResult<()> {
        match self.is_cooperative() {
            true => self.consumer.incremental_unassign(&self.list_of_partitions(partitions)),
            false => self.consumer.unassign(),
        }
    }

    /// Assigns again: the partitions `idle`, whose `starts` these are, if the group is cooperative, or else `starts` in place of
    /// all.
    pub(super) fn assign_again(
        &self,
        idle: &[KafkaPartition],
        starts: &[Start],
    ) -> KafkaResult<()> {
        if self.is_cooperative() {
            self.unassign(idle)?;
        }
        self.assign(starts)
    }

    /// Moves partitions that are being fetched, or paused, to these offsets, and ends their pauses. Returns what became of
    /// each.
    pub(super) fn seek(&self, starts: &[Start]) -> SeekAnswers {
        let answers = self.consumer.seek_partitions(self.list_of(starts), self.request_timeout)?;
        let answers = answers.elements();
        let answers: Vec<_> = answers
            .iter()
            .map(|answer| (KafkaPartition(answer.partition()), answer.error()))
            .collect();
        let sought = answers.iter().filter(|(_, answer)| answer.is_ok());
        self.set_paused(&sought.map(|(partition, _)| *partition).collect::<Vec<_>>(), false);
        Ok(answers)
    }

    pub(super) fn set_paused(&self, partitions: &[KafkaPartition], paused: bool) {
        let list = self.list_of_partitions(partitions);
        let result = if paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(error) = result {
            tracing::debug!(%error, paused, "partitions not paused or resumed");
        }
    }

    /// Returns all partitions. Closing the consumer, when its last owner drops it, leaves the group.
    pub(super) fn leave(&self) {
        self.consumer.context().close();
        let _ = self.consumer.unassign();
    }

    /// The epoch of the leader that appended what is before `next`, a position that librdkafka has reached, if it knows.
    pub(super) fn leader_epoch_before(
        &self,
        partition: KafkaPartition,
        next: Offset,
    ) -> Option<LeaderEpoch> {
        let (offset, leader_epoch) =
            leader_epoch::position(&self.consumer, &self.topic, partition.0)?;
        LeaderEpoch::new(leader_epoch.into()).filter(|_| offset == next.0)
    }

    fn list_of_partitions(&self, partitions: &[KafkaPartition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, partition.0);
        }
        list
    }

    fn list_of(&self, starts: &[Start]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for start in starts {
            let offset = rdkafka::Offset::Offset(start.offset.0);
            list.add_partition_offset(&self.topic, start.partition.0, offset)
                .expect("offsets from 0 are valid");
            if let Some(epoch) = start.leader_epoch {
                set_leader_epoch(&mut list, &self.topic, start.partition.0, epoch.number());
            }
        }
        list
    }
}

#[cfg(test)]
mod tests;
