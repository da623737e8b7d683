//! The simulated consumer: what the broker has, in the order and with the hazards of the real one.
//!
//! It fetches ahead into a queue; records in it are delivered before partitions are given back, and, by a
//! process that was frozen, even after it was expelled. Who was expelled fetches on until it finds out, loses
//! its partitions and joins anew.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lake_model::{KafkaPartition, LeaderEpoch, Offset, Timestamp};
use rand::RngExt;
use rand::rngs::SmallRng;
use speed_layer::decode::{DecodedBatch, EventFormat};
use speed_layer::source::{AssignedPartition, Source, SourceEvent, Start, Truncation};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::broker::Broker;
use crate::group::Order;
use crate::log::Found;
use crate::process::Process;
use crate::trace::Trace;
use crate::truth::TrueRecord;

/// A consumer in the group.
pub struct SimulatedSource {
    broker: Arc<Broker>,
    process: Arc<Process>,
    trace: Trace,
    decode: EventFormat,
    chance: SmallRng,
    member: u64,
    queue: VecDeque<SourceEvent>,
    fetched: BTreeMap<KafkaPartition, Fetched>,
    starts: Option<(Vec<KafkaPartition>, oneshot::Receiver<Vec<Start>>)>,
    giving_back: Option<(Vec<KafkaPartition>, oneshot::Receiver<()>)>,
    /// When the next fetch comes back.
    fetch_at: Instant,
    /// When it finds out that it was expelled.
    finds_out_at: Option<Instant>,
}

#[derive(Debug)]
struct Fetched {
    epoch: u64,
    position: Offset,
    /// The epoch of the leader that appended what is before the position, if it is known.
    leader_epoch: Option<LeaderEpoch>,
    /// The leader under whose epoch the position was validated.
    validated: Option<i32>,
    /// The position that was reported when the end was reached.
    reported: Option<Offset>,
}

impl SimulatedSource {
    /// Joins the group.
    pub fn join(
        broker: &Arc<Broker>,
        process: &Arc<Process>,
        trace: &Trace,
        decode: EventFormat,
        chance: SmallRng,
    ) -> SimulatedSource {
        SimulatedSource {
            broker: Arc::clone(broker),
            process: Arc::clone(process),
            trace: trace.clone(),
            decode,
            chance,
            member: broker.join(process),
            queue: VecDeque::new(),
            fetched: BTreeMap::new(),
            starts: None,
            giving_back: None,
            fetch_at: Instant::now(),
            finds_out_at: None,
        }
    }

    /// Waits for what the engine was asked.
    async fn wait_for_answers(&mut self) {
        if let Some((asked, starts)) = &mut self.starts {
            // No answer comes from an engine that has ended; then nobody asks any more either.
            let Ok(starts) = starts.await else { return std::future::pending().await };
            asked.retain(|id| starts.iter().all(|start| start.partition != *id));
            let left = std::mem::take(asked);
            self.starts = None;
            starts.into_iter().for_each(|start| self.fetch_from(start));
            if !left.is_empty() {
                self.ask_for_starts(left);
                return;
            }
        }
        if let Some((partitions, answer)) = &mut self.giving_back {
            let _ = answer.await;
            self.broker.given_back(self.member, partitions);
            self.giving_back = None;
        }
    }

    fn fetch_from(&mut self, start: Start) {
        let Start { partition, offset, epoch, leader_epoch } = start;
        let position = offset;
        let fetched = Fetched { epoch, position, leader_epoch, validated: None, reported: None };
        self.fetched.insert(partition, fetched);
    }

    /// Does what the group says; returns whether there was anything.
    fn obey(&mut self) -> bool {
        if !self.broker.is_member(self.member) {
            return self.find_out();
        }
        match self.broker.order_for(self.member) {
            None => false,
            Some(Order::Assign(partitions)) => {
                self.ask_for_starts(partitions);
                true
            }
            Some(Order::Revoke(partitions)) => {
                self.fetched.retain(|id, _| !partitions.contains(id));
                let (reply, answer) = oneshot::channel();
                self.giving_back = Some((partitions.clone(), answer));
                self.queue.push_back(SourceEvent::Revoked { partitions, reply });
                true
            }
        }
    }

    fn ask_for_starts(&mut self, asked: Vec<KafkaPartition>) {
        let (reply, starts) = oneshot::channel();
        let partitions = asked.iter().map(|id| self.broker.bounds_for_start(*id)).collect();
        self.starts = Some((asked, starts));
        self.queue.push_back(SourceEvent::Assigned { partitions, reply });
    }

    /// Takes a partition away from the engine and asks it anew where to start.
    fn restart(&mut self, partition: KafkaPartition, truncation: Option<Truncation>) {
        self.fetched.remove(&partition);
        self.queue.push_back(SourceEvent::Lost { partitions: vec![partition] });
        let (reply, starts) = oneshot::channel();
        let bounds = self.broker.bounds_for_start(partition);
        let partitions = vec![AssignedPartition { truncation, ..bounds }];
        self.starts = Some((vec![partition], starts));
        self.queue.push_back(SourceEvent::Assigned { partitions, reply });
    }

    /// Has Kafka say, if a leader was elected, whether the log before the position is still the one that was read.
    fn validate(&mut self, partition: KafkaPartition) -> Option<Truncation> {
        let fetched = self.fetched.get_mut(&partition)?;
        let leader = self.broker.leader_epoch(partition);
        if fetched.validated == Some(leader) {
            return None;
        }
        fetched.validated = Some(leader);
        let end = self.broker.end_of_epoch(partition, fetched.leader_epoch?.number());
        let (position, leader_epoch) = (fetched.position, fetched.leader_epoch);
        (end < position).then_some(Truncation { position, end: Some(end), leader_epoch })
    }

    /// It was expelled: goes on for a while, then loses what it has and joins anew.
    fn find_out(&mut self) -> bool {
        let now = Instant::now();
        let wait = Duration::from_millis(self.chance.random_range(0..3_000));
        if *self.finds_out_at.get_or_insert(now + wait) > now {
            return false;
        }
        self.finds_out_at = None;
        let partitions: Vec<KafkaPartition> =
            std::mem::take(&mut self.fetched).into_keys().collect();
        self.trace.say(&format!("{} finds out that it was expelled", self.process.name()));
        self.queue.push_back(SourceEvent::Lost { partitions });
        self.member = self.broker.join(&self.process);
        true
    }

    /// Fetches from some partitions; returns whether there was anything.
    fn fetch(&mut self) -> bool {
        let ids: Vec<KafkaPartition> = self.fetched.keys().copied().collect();
        let rounds = self.chance.random_range(1..=3);
        for id in (0..rounds).flat_map(|_| ids.iter().copied()) {
            if self.chance.random_bool(0.3) && !self.queue.is_empty() {
                continue;
            }
            self.fetch_one(id);
            if self.starts.is_some() {
                break;
            }
        }
        let wait = [1, 5, 20, 150][self.chance.random_range(0..4)];
        self.fetch_at = Instant::now() + Duration::from_millis(wait);
        !self.queue.is_empty()
    }

    fn fetch_one(&mut self, partition: KafkaPartition) {
        if let Some(truncation) = self.validate(partition) {
            self.trace.count("cut found by its epoch");
            self.restart(partition, Some(truncation));
            return;
        }
        let count = self.chance.random_range(1..=12);
        let Some(fetched) = self.fetched.get_mut(&partition) else { return };
        let (epoch, position) = (fetched.epoch, fetched.position);
        let next = match self.broker.fetch(partition, position, count) {
            Found::Records(records, leader_epoch) => {
                fetched.leader_epoch = LeaderEpoch::new(leader_epoch.into());
                if let Some(last) = records.last() {
                    fetched.position = Offset(last.offset).next();
                }
                let mut batch = decoded(partition, epoch, &records, &self.decode);
                batch.leader_epoch = fetched.leader_epoch;
                self.queue.push_back(SourceEvent::Records(Box::new(batch)));
                return;
            }
            Found::NothingUpTo(next) => {
                let leader_epoch = self.broker.epoch_before(partition, Offset(next));
                fetched.leader_epoch = LeaderEpoch::new(leader_epoch.into());
                fetched.position = Offset(next);
                Offset(next)
            }
            Found::End => position,
            Found::OutOfRange => return self.restart(partition, None),
        };
        // Each end that is reached is reported, if it is another one.
        if fetched.reported.replace(next) != Some(next) {
            let leader_epoch = fetched.leader_epoch;
            let reached = SourceEvent::Position { partition, epoch, next, leader_epoch };
            self.queue.push_back(reached);
        }
    }
}

fn decoded(
    partition: KafkaPartition,
    epoch: u64,
    records: &[TrueRecord],
    settings: &EventFormat,
) -> DecodedBatch {
    let mut batch = DecodedBatch::new(partition, epoch);
    for record in records {
        let at = Timestamp::from_micros(record.kafka_timestamp_us);
        let (key, payload) = (record.key.as_deref(), record.payload.as_deref());
        batch.push(Offset(record.offset), at, key, payload, settings);
    }
    batch
}

#[async_trait]
impl Source for SimulatedSource {
    async fn next(&mut self) -> SourceEvent {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return event;
            }
            self.wait_for_answers().await;
            if !self.queue.is_empty() {
                continue;
            }
            let broker = Arc::clone(&self.broker);
            let changed = broker.changed();
            if self.obey() {
                continue;
            }
            if Instant::now() < self.fetch_at {
                sleep_until(self.fetch_at).await;
            } else if !self.fetch() {
                changed.await;
            }
        }
    }

    fn seek(&mut self, start: Start) {
        // Fetching goes on while the engine is busy: what it brought comes all the same.
        let rounds = if self.starts.is_none() { self.chance.random_range(0..=2) } else { 0 };
        (0..rounds).for_each(|_| self.fetch_one(start.partition));
        // Of a partition that was taken away meanwhile nothing is fetched.
        if self.fetched.contains_key(&start.partition) {
            self.fetch_from(start);
        }
    }

    fn commit_offsets(&mut self, next_offsets: &[(KafkaPartition, Offset)]) {
        self.broker.tell(next_offsets);
    }

    async fn close(&mut self) {
        self.broker.leave(self.member);
    }
}
