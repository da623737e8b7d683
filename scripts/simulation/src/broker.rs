//! The simulated broker: a topic's partitions and its consumer group, shared by all processes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lake_kafka::{ClientError, LogEnds, PartitionExtent, TopicExtent};
use lake_model::{KafkaPartition, Offset, OffsetRange, TopicIdentity};
use speed_layer::source::AssignedPartition;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::group::{Group, GroupSettings, Order};
use crate::log::{Found, NewRecord, PartitionLog};
use crate::process::Process;
use crate::trace::Trace;
use crate::truth::{NightlyQuestion, TruePartition};

/// How often the group is looked after.
const TURN: Duration = Duration::from_millis(200);
/// How long the broker takes to say how far its partitions reach.
const ANSWER: Duration = Duration::from_millis(15);

/// The broker.
#[derive(Debug)]
pub struct Broker {
    clock: Arc<Clock>,
    trace: Trace,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    partitions: BTreeMap<KafkaPartition, PartitionLog>,
    group: Group,
    questions: Vec<NightlyQuestion>,
}

impl Broker {
    /// A broker with partitions whose logs begin at these offsets.
    pub fn new(
        clock: &Arc<Clock>,
        trace: &Trace,
        settings: GroupSettings,
        firsts: &[i64],
    ) -> Arc<Broker> {
        let ids = (0..).map(KafkaPartition);
        let logs = ids.zip(firsts).map(|(id, first)| (id, PartitionLog::starting_at(*first)));
        let state = State {
            partitions: logs.collect(),
            group: Group::new(settings),
            questions: Vec::new(),
        };
        Arc::new(Broker {
            clock: Arc::clone(clock),
            trace: trace.clone(),
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    /// Looks after the group for ever.
    pub async fn run(&self) {
        loop {
            sleep(TURN).await;
            let said = {
                let mut state = self.state();
                let ids: BTreeSet<KafkaPartition> = state.partitions.keys().copied().collect();
                let now_ms = self.clock.elapsed_ms();
                state.partitions.values_mut().for_each(|log| log.catch_up(now_ms));
                state.group.turn(now_ms, &ids)
            };
            for line in &said {
                self.trace.count(if line.starts_with("rebalanced") {
                    "rebalance"
                } else {
                    "member expelled"
                });
                self.trace.say(line);
            }
            // Who was expelled finds out by looking.
            self.changed.notify_waiters();
        }
    }

    /// Waits for news; to be made before looking for any.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The ids of the partitions.
    pub fn partitions(&self) -> Vec<KafkaPartition> {
        self.state().partitions.keys().copied().collect()
    }

    /// Adds a partition; the group finds out with its next metadata. Returns its id.
    pub fn add_partition(&self) -> KafkaPartition {
        let mut state = self.state();
        let id = KafkaPartition(state.partitions.keys().last().map_or(0, |last| last.0 + 1));
        state.partitions.insert(id, PartitionLog::starting_at(0));
        state.group.shake();
        self.trace.say(&format!("partition {id} is added"));
        id
    }

    /// Appends records to a partition.
    pub fn append(&self, partition: KafkaPartition, records: Vec<NewRecord>) {
        let now_us = self.clock.now_us();
        self.with(partition, |log| log.append(now_us, records));
        self.changed.notify_waiters();
    }

    /// Begins a transaction.
    pub fn begin(&self, partition: KafkaPartition) {
        self.with(partition, PartitionLog::begin);
    }

    /// Commits or aborts the open transaction.
    pub fn end(&self, partition: KafkaPartition, is_committed: bool) {
        self.with(partition, |log| log.end(is_committed));
        self.changed.notify_waiters();
    }

    /// The partitions with an open transaction.
    pub fn open_partitions(&self) -> Vec<KafkaPartition> {
        let state = self.state();
        let open = state.partitions.iter().filter(|(_, log)| log.is_open());
        open.map(|(id, _)| *id).collect()
    }

    /// The ends of a partition step back for a while, by so many offsets.
    pub fn step_back(&self, partition: KafkaPartition, offsets: i64, length: Duration) {
        self.trace.count("end stepped back");
        self.trace.say(&format!("the end of partition {partition} steps back by {offsets}"));
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(0);
        let until_ms = self.clock.elapsed_ms() + length_ms;
        self.with(partition, |log| log.step_back(offsets, until_ms));
    }

    /// Whichever broker answers has everything.
    pub fn catch_up(&self) {
        self.state().partitions.values_mut().for_each(|log| log.catch_up(u64::MAX));
        self.changed.notify_waiters();
    }

    /// Another broker leads a partition, which has everything.
    pub fn elect(&self, partition: KafkaPartition) {
        self.trace.count("leader elected");
        self.with(partition, PartitionLog::elect);
        self.changed.notify_waiters();
    }

    /// Another broker leads a partition, which lacks the last offsets. Once for a partition.
    pub fn cut(&self, partition: KafkaPartition, offsets: i64) {
        let now_us = self.clock.now_us();
        let cut = self.with(partition, |log| {
            let may_be = !log.is_damaged();
            may_be.then(|| {
                log.cut(now_us, offsets);
                log.high_watermark()
            })
        });
        if let Some(Some(at)) = cut {
            self.trace.count("unclean election");
            self.trace.say(&format!("the log of partition {partition} is cut at {at}"));
            self.changed.notify_waiters();
        }
    }

    /// Whether a log was cut before `offset`, with records that could be read.
    pub fn is_cut_before(&self, partition: KafkaPartition, offset: Offset) -> bool {
        self.with(partition, |log| log.is_cut_before(offset.0)).unwrap_or(false)
    }

    /// The epoch of a partition's leader.
    pub fn leader_epoch(&self, partition: KafkaPartition) -> i32 {
        self.with(partition, |log| log.leader_epoch()).unwrap_or(0)
    }

    /// The epoch of the leader that appended what is right before `offset`.
    pub fn epoch_before(&self, partition: KafkaPartition, offset: Offset) -> i32 {
        self.with(partition, |log| log.epoch_of(offset.0 - 1)).unwrap_or(0)
    }

    /// Up to where the log is that of the leader of `epoch` and those before it.
    pub fn end_of_epoch(&self, partition: KafkaPartition, epoch: i32) -> Offset {
        Offset(self.with(partition, |log| log.end_of_epoch(epoch)).unwrap_or(0))
    }

    /// Deletes a part of what the tables are known to hold, `permille` of it.
    pub fn expire(&self, partition: KafkaPartition, permille: u64) {
        let low = self.with(partition, |log| {
            let first = log.bounds().0;
            log.expire(first + share(log.told() - first, permille));
            log.bounds().0
        });
        self.trace.say(&format!("partition {partition} begins at {low:?}"));
    }

    /// Deletes `permille` of what is left of a partition, of which the tables, which nobody is writing, hold
    /// everything before `held`.
    pub fn lose(&self, partition: KafkaPartition, held: Option<i64>, permille: u64) {
        let low = self.with(partition, |log| {
            let (first, end) = log.bounds();
            // What is told of a cut and of a loss of the same records is too much for one partition.
            if log.is_cut() {
                return first;
            }
            log.lose(held, first + share(end - first, permille));
            log.bounds().0
        });
        self.trace.say(&format!("partition {partition} begins at {low:?}, held: {held:?}"));
    }

    /// What Kafka has of a partition that is assigned.
    pub fn bounds_for_start(&self, partition: KafkaPartition) -> AssignedPartition {
        let bounds = self.with(partition, |log| {
            log.note_start();
            log.bounds()
        });
        let (low, high) = bounds.unwrap_or_default();
        AssignedPartition { partition, low: Offset(low), high: Offset(high), truncation: None }
    }

    /// What a consumer at `position` finds.
    pub fn fetch(&self, partition: KafkaPartition, position: Offset, count: usize) -> Found {
        self.with(partition, |log| log.fetch(position.0, count)).unwrap_or(Found::End)
    }

    /// Takes the group's offsets.
    pub fn tell(&self, offsets: &[(KafkaPartition, Offset)]) {
        for (partition, next) in offsets {
            self.with(*partition, |log| log.note_told(next.0));
        }
    }

    /// The last stable offset of every partition.
    pub fn ends(&self) -> BTreeMap<KafkaPartition, Offset> {
        self.state().partitions.iter().map(|(id, log)| (*id, Offset(log.bounds().1))).collect()
    }

    /// Lets a process into the group.
    pub fn join(&self, process: &Arc<Process>) -> u64 {
        self.state().group.join(process)
    }

    /// Takes a member out of the group.
    pub fn leave(&self, member: u64) {
        self.state().group.leave(member);
    }

    /// Asks for a rebalance.
    pub fn shake(&self) {
        self.state().group.shake();
    }

    /// Whether the member is still one.
    pub fn is_member(&self, member: u64) -> bool {
        self.state().group.holds(member)
    }

    /// The member's next order.
    pub fn order_for(&self, member: u64) -> Option<Order> {
        self.state().group.order_for(member)
    }

    /// A member gave partitions back.
    pub fn given_back(&self, member: u64, partitions: &[KafkaPartition]) {
        self.state().group.given_back(member, partitions);
    }

    /// The processes that own partitions, with these.
    pub fn owners(&self) -> Vec<(String, Vec<KafkaPartition>)> {
        self.state().group.owners()
    }

    /// What really happened, and what nightly runs were told of it.
    pub fn truth(&self) -> (BTreeMap<i32, TruePartition>, Vec<NightlyQuestion>) {
        let state = self.state();
        let partitions = state.partitions.iter().map(|(id, log)| (id.0, log.truth())).collect();
        (partitions, state.questions.clone())
    }

    fn with<T>(
        &self,
        partition: KafkaPartition,
        act: impl FnOnce(&mut PartitionLog) -> T,
    ) -> Option<T> {
        self.state().partitions.get_mut(&partition).map(act)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn share(offsets: i64, permille: u64) -> i64 {
    offsets.max(0) * permille.cast_signed() / 1000
}

/// The broker as a process of the batch asks it.
pub struct Ends {
    broker: Arc<Broker>,
    process: Arc<Process>,
}

impl Ends {
    /// What `process` asks.
    pub fn new(broker: &Arc<Broker>, process: &Arc<Process>) -> Ends {
        Ends { broker: Arc::clone(broker), process: Arc::clone(process) }
    }
}

#[async_trait]
impl LogEnds for Ends {
    async fn ends(&self) -> Result<TopicExtent, ClientError> {
        sleep(ANSWER).await;
        let mut state = self.broker.state();
        let range = |log: &PartitionLog| {
            let (low, end) = log.bounds();
            OffsetRange::new(Offset(low), Offset(end))
        };
        let extent = |log: &PartitionLog| PartitionExtent {
            stable: range(log),
            high_watermark: Offset(log.high_watermark()),
        };
        let partitions: BTreeMap<KafkaPartition, PartitionExtent> =
            state.partitions.iter().map(|(id, log)| (*id, extent(log))).collect();
        state.questions.push(NightlyQuestion {
            process: self.process.name().to_owned(),
            at_us: self.broker.clock.now_us(),
            ends: partitions.iter().map(|(id, extent)| (id.0, extent.high_watermark.0)).collect(),
        });
        Ok(TopicExtent { partitions, ..TopicExtent::default() })
    }

    async fn identity(&self) -> Result<TopicIdentity, ClientError> {
        Ok(TopicIdentity::default())
    }
}
