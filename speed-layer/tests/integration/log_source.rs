//! A topic in memory, and a source that delivers it as a consumer would.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use lake_model::{EventFormat, KafkaPartition, Offset, Timestamp};
use speed_layer::decode::DecodedBatch;
use speed_layer::source::{AssignedPartition, Source, SourceEvent, Start};
use tokio::sync::{mpsc, oneshot};

use crate::support::settings;

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    pub offset: i64,
    pub kafka_timestamp: Timestamp,
    pub payload: Option<Vec<u8>>,
}

/// Records by partition, with the first offset after each partition's last, markers included.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    pub partitions: BTreeMap<i32, (Vec<Record>, i64)>,
}

impl Topic {
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        self.partitions.iter().map(|(id, (_, end))| (*id, *end)).collect()
    }

    fn low(&self, partition: i32) -> i64 {
        let (records, end) = &self.partitions[&partition];
        records.first().map_or(*end, |record| record.offset)
    }
}

/// What a test tells a source to do.
pub enum Order {
    Assign(Vec<i32>),
    Revoke(Vec<i32>, oneshot::Sender<()>),
    Lose(Vec<i32>),
}

/// Delivers a topic in batches of a few records, one partition after the other in turn.
pub struct LogSource {
    topic: Arc<Topic>,
    /// How records are decoded.
    format: EventFormat,
    batch_records: usize,
    orders: mpsc::UnboundedReceiver<Order>,
    starts: Option<oneshot::Receiver<Vec<Start>>>,
    revoked: Option<(oneshot::Receiver<()>, oneshot::Sender<()>)>,
    /// Position and epoch, by assigned partition.
    fetched: BTreeMap<i32, (i64, u64)>,
    turn: VecDeque<i32>,
    has_rested: bool,
}

impl LogSource {
    pub fn new(
        topic: &Arc<Topic>,
        batch_records: usize,
    ) -> (LogSource, mpsc::UnboundedSender<Order>) {
        let (sender, orders) = mpsc::unbounded_channel();
        let source = LogSource {
            topic: Arc::clone(topic),
            format: settings().event,
            batch_records,
            orders,
            starts: None,
            revoked: None,
            fetched: BTreeMap::new(),
            turn: VecDeque::new(),
            has_rested: false,
        };
        (source, sender)
    }

    /// The same source, which decodes records in that way.
    pub fn decoding(self, format: EventFormat) -> LogSource {
        LogSource { format, ..self }
    }

    async fn settle(&mut self) {
        if let Some(starts) = self.starts.take() {
            starts.await.unwrap().into_iter().for_each(|start| self.seek(start));
        }
        if let Some((answer, done)) = self.revoked.take() {
            let _ = answer.await;
            let _ = done.send(());
        }
    }

    fn obey(&mut self, order: Order) -> SourceEvent {
        match order {
            Order::Assign(partitions) => {
                let (reply, starts) = oneshot::channel();
                self.starts = Some(starts);
                let partitions = partitions.into_iter().map(|id| AssignedPartition {
                    partition: KafkaPartition(id),
                    low: Offset(self.topic.low(id)),
                    high: Offset(self.topic.partitions[&id].1),
                    truncation: None,
                });
                SourceEvent::Assigned { partitions: partitions.collect(), reply }
            }
            Order::Revoke(partitions, done) => {
                self.fetched.retain(|id, _| !partitions.contains(id));
                let (reply, answer) = oneshot::channel();
                self.revoked = Some((answer, done));
                SourceEvent::Revoked { partitions: numbered(partitions), reply }
            }
            Order::Lose(partitions) => {
                self.fetched.retain(|id, _| !partitions.contains(id));
                SourceEvent::Lost { partitions: numbered(partitions) }
            }
        }
    }

    fn deliver(&mut self) -> Option<SourceEvent> {
        for _ in 0..self.turn.len() {
            let id = self.turn.pop_front()?;
            let Some((position, epoch)) = self.fetched.get_mut(&id) else { continue };
            self.turn.push_back(id);
            let (records, end) = &self.topic.partitions[&id];
            let partition = KafkaPartition(id);
            let mut batch = DecodedBatch::new(partition, *epoch);
            for record in records.iter().filter(|r| r.offset >= *position).take(self.batch_records)
            {
                let payload = record.payload.as_deref();
                let (offset, at) = (Offset(record.offset), record.kafka_timestamp);
                batch.push(offset, at, None, payload, &self.format);
            }
            if let Some(last) = batch.last_offset() {
                *position = last.next().0;
                return Some(SourceEvent::Records(Box::new(batch)));
            }
            if *position < *end {
                *position = *end;
                let next = Offset(*end);
                return Some(SourceEvent::Position {
                    partition,
                    epoch: *epoch,
                    next,
                    leader_epoch: None,
                });
            }
        }
        None
    }
}

fn numbered(ids: Vec<i32>) -> Vec<KafkaPartition> {
    ids.into_iter().map(KafkaPartition).collect()
}

#[async_trait]
impl Source for LogSource {
    async fn next(&mut self) -> SourceEvent {
        self.settle().await;
        if let Ok(order) = self.orders.try_recv() {
            return self.obey(order);
        }
        // Others get their turn between deliveries, however often the wait is cancelled.
        if !std::mem::replace(&mut self.has_rested, true) {
            tokio::task::yield_now().await;
        }
        self.has_rested = false;
        if let Some(event) = self.deliver() {
            return event;
        }
        match self.orders.recv().await {
            Some(order) => self.obey(order),
            None => std::future::pending().await,
        }
    }

    fn seek(&mut self, start: Start) {
        let id = start.partition.0;
        self.fetched.insert(id, (start.offset.0, start.epoch));
        if !self.turn.contains(&id) {
            self.turn.push_back(id);
        }
    }

    fn commit_offsets(&mut self, _next_offsets: &[(KafkaPartition, Offset)]) {}

    async fn close(&mut self) {}
}
