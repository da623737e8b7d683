//! The poller on a real Kafka: pauses, ends of transactions, and offsets that go while they are to be fetched.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use lake_config::Settings;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, TopicPartitionList};

use super::test_bed::SHORT;
use crate::kafka::{KafkaSource, config, queue};
use crate::source::{Source, SourceEvent, Start};

use super::*;

/// More than any of these tests waits.
const LONG: Duration = Duration::from_secs(60);
/// Records of a topic, and their size: several batches of the poller's, less than a turn of it.
const RECORDS: i64 = 800;
const RECORD_BYTES: usize = 2048;

/// A topic of one partition, all of whose records are of one transaction.
struct Bed {
    brokers: String,
    topic: String,
}

impl Bed {
    async fn new(name: &str) -> Bed {
        Bed::with(name, RECORDS).await
    }

    async fn with(name: &str, records: i64) -> Bed {
        let brokers = std::env::var("LAKEHOUSE__KAFKA__BROKERS")
            .expect("these tests need Kafka: . \"$(scripts/stack.sh up)\"");
        let topic = format!("{name}-{}", std::process::id());
        let bed = Bed { brokers, topic };
        let made = NewTopic::new(&bed.topic, 1, TopicReplication::Fixed(1));
        bed.admin().create_topics([&made], &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
        bed.fill(records);
        bed
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    fn fill(&self, records: i64) {
        let producer: BaseProducer =
            self.config().set("transactional.id", &self.topic).create().unwrap();
        producer.init_transactions(LONG).unwrap();
        producer.begin_transaction().unwrap();
        let payload = "x".repeat(RECORD_BYTES);
        for _ in 0..records {
            let record = || BaseRecord::to(&self.topic).partition(0).key("key").payload(&payload);
            while producer.send(record()).is_err() {
                producer.poll(POLL_TIMEOUT);
            }
        }
        producer.commit_transaction(LONG).unwrap();
    }

    /// Settings of a queue that has room for a batch.
    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.kafka.brokers.clone_from(&self.brokers);
        settings.kafka.topic.clone_from(&self.topic);
        settings.speed.queue_bytes = 1;
        settings
    }

    /// A source whose queue has room for a batch, which it has filled and waited for until it has paused.
    async fn paused(&self) -> KafkaSource {
        let mut source = KafkaSource::start_with(&self.settings(), &self.topic, SHORT).unwrap();
        match next(&mut source).await {
            SourceEvent::Assigned { reply, .. } => reply.send(vec![start(0, 1)]).unwrap(),
            other => panic!("{other:?}"),
        }
        // Time itself is what makes it pause.
        tokio::time::sleep(3 * SHORT.engine).await;
        source
    }
}

fn start(offset: i64, epoch: u64) -> Start {
    Start { partition: KafkaPartition(0), offset: Offset(offset), epoch, leader_epoch: None }
}

async fn next(source: &mut KafkaSource) -> SourceEvent {
    tokio::time::timeout(LONG, source.next()).await.expect("the source goes on")
}

/// The offsets that come until the partition's end, each once and in order, by epoch. Where offsets were lost, the source
/// is told to go on with the first that there is, in the next epoch.
async fn offsets(source: &mut KafkaSource) -> BTreeMap<u64, Vec<i64>> {
    let (mut found, mut last_epoch): (BTreeMap<u64, Vec<i64>>, u64) = (BTreeMap::new(), 1);
    loop {
        match next(source).await {
            SourceEvent::Records(batch) => {
                let epoch = batch.epoch;
                let (_, letters) = batch.into_parts();
                found
                    .entry(epoch)
                    .or_default()
                    .extend(letters.iter().map(|letter| letter.kafka_offset.0));
            }
            SourceEvent::Position { next, .. } => {
                let last = found.values().flatten().max();
                assert_eq!(
                    last,
                    Some(&(RECORDS - 1)),
                    "position {next} is told before the records"
                );
                return found;
            }
            SourceEvent::Lost { partitions } => assert_eq!(partitions, [KafkaPartition(0)]),
            SourceEvent::Assigned { partitions, reply } => {
                last_epoch += 1;
                reply.send(vec![start(partitions[0].low.0, last_epoch)]).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_within_a_transaction_passes_none_of_its_records_over() {
    let bed = Bed::new("paused-within-a-transaction").await;
    let mut source = bed.paused().await;
    let all: Vec<i64> = (0..RECORDS).collect();
    assert_eq!(offsets(&mut source).await, BTreeMap::from([(1, all)]));
    source.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_offsets_are_gone_is_fetched_from_where_it_is_told() {
    let bed = Bed::new("gone-while-paused").await;
    let mut source = bed.paused().await;
    let mut gone = TopicPartitionList::new();
    gone.add_partition_offset(&bed.topic, 0, rdkafka::Offset::Offset(700)).unwrap();
    bed.admin().delete_records(&gone, &AdminOptions::new()).await.unwrap();
    let mut found = offsets(&mut source).await;
    assert_eq!(found.remove(&2), Some((700..RECORDS).collect()));
    let before = found.remove(&1).unwrap();
    assert!(before.len() < 700, "{} offsets came before the loss", before.len());
    assert_eq!(before, (0..before.len() as i64).collect::<Vec<_>>());
    source.close().await;
}

/// What librdkafka has fetched stays within its own bounds, twice, while the engine is slower than Kafka.
#[tokio::test(flavor = "multi_thread")]
async fn fetched_records_do_not_pile_up_before_a_slow_engine() {
    let bed = Bed::with("slow-engine", 40_000).await;
    let settings = bed.settings();
    let consumer: BaseConsumer<GroupContext> = config::group_consumer(&settings, &bed.topic)
        .create_with_context(GroupContext::default())
        .unwrap();
    consumer.subscribe(&[&bed.topic]).unwrap();
    let (sender, mut engine) = queue::bounded(settings.speed.queue_bytes);
    let stop = Arc::new(AtomicBool::new(false));
    let delivery = (sender, settings.event.clone(), Handle::current());
    let (_seeks, requests) = std::sync::mpsc::channel();
    let (topic, stopped) = (bed.topic.clone(), Arc::clone(&stop));
    let poller = Poller::new(Arc::new(consumer), topic, LONG, delivery, SHORT, requests, stopped);
    let fetched = poller.link.client.records();
    let thread = std::thread::spawn(move || poller.run());
    match engine.recv().await.unwrap() {
        SourceEvent::Assigned { reply, .. } => reply.send(vec![start(0, 1)]).unwrap(),
        other => panic!("{other:?}"),
    }
    let mut most = 0;
    for _ in 0..50 {
        // The engine works on a batch for as long as librdkafka needs to fill its queue of 8 MiB again.
        let is_full = || fetched.len() * RECORD_BYTES >= 7 << 20;
        let filled = async {
            while !is_full() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, filled).await.expect("librdkafka fetches up to its bound");
        assert!(matches!(engine.recv().await.unwrap(), SourceEvent::Records(_)));
        most = most.max(fetched.len() * RECORD_BYTES);
    }
    assert!(most < 26 << 20, "{most} bytes were fetched and not handed over");
    stop.store(true, Ordering::Relaxed);
    engine.close();
    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
}
