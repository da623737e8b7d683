//! Kafka as a [`Source`]: one thread polls, decodes and keeps the group's membership; a bounded queue
//! carries what it finds to the engine.
//!
//! Rebalances are taken out of librdkafka's callback and handled between polls, so that the start offsets are
//! part of the assign call itself and revoked partitions are released only when their work is committed.
//! While the engine is behind, the queue is full and the thread stops fetching; librdkafka's own queue is
//! bounded too, and its heartbeats go on.

mod config;
mod context;
mod poller;
mod queue;
mod timestamps;
mod transactions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use lake_config::Settings;
use lake_kafka::ClientError;
use lake_model::{KafkaPartition, Offset};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};

use self::context::GroupContext;
use self::poller::{Poller, Seek, Waits};
use crate::source::{Source, SourceEvent, Start};

pub use self::timestamps::check_timestamps;

/// How long leaving the group may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The topic's consumer in its group.
pub struct KafkaSource {
    topic: String,
    consumer: Arc<BaseConsumer<GroupContext>>,
    events: queue::Receiver,
    seeks: std::sync::mpsc::Sender<Seek>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl KafkaSource {
    /// Joins the consumer group called `group` and begins to poll.
    pub fn start(settings: &Settings, group: &str) -> Result<KafkaSource, ClientError> {
        KafkaSource::start_with(settings, group, Waits::default())
    }

    fn start_with(
        settings: &Settings,
        group: &str,
        waits: Waits,
    ) -> Result<KafkaSource, ClientError> {
        let topic = settings.kafka.topic.clone();
        let consumer: BaseConsumer<GroupContext> = config::group_consumer(settings, group)
            .create_with_context(GroupContext::of(&settings.kafka.brokers))
            .map_err(ClientError::new(&settings.kafka, "create the consumer"))?;
        consumer
            .subscribe(&[&topic])
            .map_err(ClientError::new(&settings.kafka, format!("subscribe to topic {topic}")))?;
        let consumer = Arc::new(consumer);
        let (sender, events) = queue::bounded(settings.speed.queue_bytes);
        let (seeks, seek_requests) = std::sync::mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let delivery = (sender, settings.event.clone(), tokio::runtime::Handle::current());
        let poller = Poller::new(
            Arc::clone(&consumer),
            topic.clone(),
            settings.kafka.request_timeout,
            delivery,
            waits,
            seek_requests,
            Arc::clone(&stop),
        );
        let thread = std::thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || poller.run())
            .expect("a thread can be started");
        Ok(KafkaSource { topic, consumer, events, seeks, stop, thread: Some(thread) })
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn next(&mut self) -> SourceEvent {
        self.events.recv().await.unwrap_or_else(|| SourceEvent::Failed {
            problem: "the Kafka consumer's thread ended unexpectedly".to_owned(),
        })
    }

    fn seek(&mut self, start: Start) {
        // The thread outlives the source, unless it has failed, which `next` reports.
        let _ = self.seeks.send(Seek(start));
    }

    fn commit_offsets(&mut self, next_offsets: &[(KafkaPartition, Offset)]) {
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in next_offsets {
            let next = rdkafka::Offset::Offset(next.0);
            if let Err(error) = offsets.add_partition_offset(&self.topic, partition.0, next) {
                tracing::debug!(partition = partition.0, %error, "the group offset is left out");
            }
        }
        if offsets.count() > 0
            && let Err(error) = self.consumer.commit(&offsets, CommitMode::Async)
        {
            tracing::debug!(%error, "the group's offsets were not committed");
        }
    }

    async fn close(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.events.close();
        let Some(thread) = self.thread.take() else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(CLOSE_TIMEOUT, joined).await.is_err() {
            tracing::warn!("the Kafka consumer did not leave its group in time");
        }
    }
}
