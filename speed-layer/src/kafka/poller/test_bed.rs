//! For unit tests: a link between librdkafka's in-process broker and a test that takes the place of the engine.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lake_config::Settings;
use lake_model::{KafkaPartition, Offset};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::client::GroupClient;
use super::delivery::Delivery;
use super::link::Link;
use super::{Waits, now};
use crate::kafka::config::group_consumer;
use crate::kafka::context::GroupContext;
use crate::kafka::queue::{self, Receiver};
use crate::source::{SourceEvent, Start};

const TOPIC: &str = "records";
const PARTITIONS: i32 = 4;
/// The waits of the thread.
pub(super) const SHORT: Waits =
    Waits { engine: Duration::from_secs(1), fetch_again: Duration::from_millis(100) };
/// More than any of these tests waits.
const LONG: Duration = Duration::from_secs(30);

/// A topic of four partitions and the link to it, which no partition is assigned to.
pub(super) struct Bed {
    cluster: MockCluster<'static, DefaultProducerContext>,
    pub(super) consumer: Arc<BaseConsumer<GroupContext>>,
    pub(super) link: Link,
    pub(super) runtime: Runtime,
    engine: Option<Receiver>,
}

impl Bed {
    /// A link whose queue has room for so many bytes.
    pub(super) fn with_room_for(queue_bytes: u64) -> Bed {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, PARTITIONS, 1).unwrap();
        let mut settings = Settings::default();
        settings.kafka.brokers = cluster.bootstrap_servers();
        let consumer: BaseConsumer<GroupContext> =
            group_consumer(&settings, TOPIC).create_with_context(GroupContext::default()).unwrap();
        let consumer = Arc::new(consumer);
        let runtime = Runtime::new().unwrap();
        let (sender, engine) = queue::bounded(queue_bytes);
        let client = GroupClient::new(Arc::clone(&consumer), TOPIC.to_owned(), LONG);
        let delivery = Delivery::new(sender, settings.event, runtime.handle().clone(), SHORT);
        let link = Link::new(client, delivery, SHORT);
        Bed { cluster, consumer, link, runtime, engine: Some(engine) }
    }

    pub(super) fn new() -> Bed {
        Bed::with_room_for(64 << 20)
    }

    /// Writes so many records to a partition.
    pub(super) fn fill(&self, partition: i32, records: usize) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers());
        let producer: BaseProducer = config.create().unwrap();
        for _ in 0..records {
            let record = BaseRecord::to(TOPIC).partition(partition).key("key").payload("value");
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LONG).unwrap();
    }

    /// Has the partition led by its next leader.
    pub(super) fn elect(&self, partition: i32) {
        self.cluster.partition_leader(TOPIC, partition, Some(1)).unwrap();
    }

    /// Answers the next fetches with these errors.
    pub(super) fn fail_fetches(&self, errors: &[RDKafkaRespErr]) {
        self.cluster.request_errors(RDKafkaApiKey::Fetch, errors);
    }

    /// What the consumer fetches: the offsets that it was assigned, by partition.
    pub(super) fn assigned(&self) -> BTreeMap<i32, i64> {
        let assignment = self.consumer.assignment().unwrap();
        let offset = |offset: rdkafka::Offset| offset.to_raw().unwrap();
        let found = assignment.elements();
        found.iter().map(|found| (found.partition(), offset(found.offset()))).collect()
    }

    /// The positions that the engine was given last, as plain numbers.
    pub(super) fn positions(&self) -> Vec<(i32, i64)> {
        let positions = self.link.positions.positions();
        positions.iter().map(|(partition, position)| (partition.0, position.0)).collect()
    }

    /// Looks again and again until something has come.
    pub(super) fn wait_for<T>(&mut self, mut look: impl FnMut(&mut Link) -> Option<T>) -> T {
        let started = now();
        while started.elapsed() < LONG {
            if let Some(found) = look(&mut self.link) {
                return found;
            }
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        }
        panic!("it did not come");
    }

    /// The events that have been sent to the engine and not been received.
    pub(super) fn sent(&mut self) -> Vec<SourceEvent> {
        let engine = self.engine.as_mut().unwrap();
        let mut events = Vec::new();
        self.runtime.block_on(async {
            while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, engine.recv()).await {
                events.push(event);
            }
        });
        events
    }

    /// Closes the engine's end.
    pub(super) fn close(&mut self) {
        self.engine.as_mut().unwrap().close();
    }

    /// Runs an engine beside the test for `count` events, each of which `answer` gets.
    pub(super) fn engine<T: Send + 'static>(
        &mut self,
        count: usize,
        answer: impl FnMut(SourceEvent) -> T + Send + 'static,
    ) -> JoinHandle<Vec<T>> {
        self.engine_after(Duration::ZERO, count, answer)
    }

    /// As [`Bed::engine`], which is behind for so long.
    pub(super) fn engine_after<T: Send + 'static>(
        &mut self,
        behind: Duration,
        count: usize,
        mut answer: impl FnMut(SourceEvent) -> T + Send + 'static,
    ) -> JoinHandle<Vec<T>> {
        let mut engine = self.engine.take().unwrap();
        self.runtime.spawn(async move {
            tokio::time::sleep(behind).await;
            let mut answers = Vec::new();
            while answers.len() < count {
                answers.push(answer(engine.recv().await.unwrap()));
            }
            answers
        })
    }

    /// What an engine came to.
    pub(super) fn wait<T>(&self, engine: JoinHandle<T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(LONG, engine).await }).unwrap().unwrap()
    }
}

pub(super) fn start(partition: i32, offset: i64, epoch: u64) -> Start {
    Start {
        partition: KafkaPartition(partition),
        offset: Offset(offset),
        epoch,
        leader_epoch: None,
    }
}
