//! How far the partitions of a topic reach, and which topic it is.
//!
//! # Consistency
//! The identity is asked for after the ends. Kafka gives an id to one topic only, ever; so if it is still the one that
//! was expected, the ends are those of the topic that was expected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use async_trait::async_trait;
use lake_config::Kafka;
use lake_model::{KafkaPartition, TopicIdentity};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::bounds::partition_bounds;
use crate::client::{self, Remembering};
use crate::error::{ClientError, is_missing_topic};
use crate::extent::{PartitionExtent, TopicExtent};

/// Events of a client that is seldom asked are dropped, so many each time that it is.
const MOST_DROPPED: usize = 10_000;

/// How often a client that got no answer is asked for what its connections failed with.
const CAUSE_POLLS: usize = 100;

/// The extent and the identity of a topic.
#[async_trait]
pub trait LogEnds: Send + Sync {
    /// What Kafka has of the topic.
    ///
    /// # Errors
    /// Kafka did not answer in time, or has no such topic.
    async fn ends(&self) -> Result<TopicExtent, ClientError>;

    /// Which topic it is now.
    ///
    /// # Errors
    /// Kafka did not answer in time, or has no such topic.
    async fn identity(&self) -> Result<TopicIdentity, ClientError>;
}

/// A client to ask for the identity, with what it knows already.
#[derive(Default)]
struct IdentityClient {
    consumer: Option<BaseConsumer<Remembering>>,
    cluster_id: Option<String>,
}

/// The topic that the settings name, on its brokers.
#[derive(Clone)]
pub struct TopicEnds {
    kafka: Kafka,
    /// Kept, because the identity is asked for with every commit. Whoever asks holds it, so that questions do not pile up
    /// while Kafka does not answer.
    identity_client: Arc<Mutex<IdentityClient>>,
}

impl TopicEnds {
    /// The topic that `kafka` names. Nothing is asked yet.
    pub fn new(kafka: &Kafka) -> TopicEnds {
        TopicEnds { kafka: kafka.clone(), identity_client: Arc::default() }
    }

    /// The settings of the topic's brokers.
    pub(crate) fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// Asks, and blocks for as long as `kafka.request_timeout` per request, and longer while a partition has no leader.
    fn ask_for_ends(&self) -> Result<TopicExtent, ClientError> {
        let Kafka { topic, request_timeout, .. } = &self.kafka;
        let failed = |action: String| ClientError::new(&self.kafka, action);
        let committed = client::consumer(&self.kafka);
        let mut uncommitted = committed.clone();
        uncommitted.set("isolation.level", "read_uncommitted");
        let create = || failed("create a consumer".to_owned());
        let create_with =
            |config: &ClientConfig| -> Result<BaseConsumer<Remembering>, ClientError> {
                config.create_with_context(Remembering::default()).map_err(create())
            };
        let (committed, uncommitted) = (create_with(&committed)?, create_with(&uncommitted)?);
        let metadata =
            committed.fetch_metadata(Some(topic), *request_timeout).map_err(|error| {
                let failed = failed(format!("ask for the partitions of topic {topic}"));
                failed(error).because(cause_of(&committed))
            })?;
        let found = metadata.topics().first().filter(|found| !found.partitions().is_empty());
        let found = found.ok_or_else(|| {
            let missing = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic);
            failed(missing_topic(topic))(missing)
        })?;
        let mut partitions = BTreeMap::new();
        for partition in found.partitions().iter().map(|partition| KafkaPartition(partition.id())) {
            let asking = format!("ask how far partition {partition} of topic {topic} reaches");
            let bounds = |consumer: &BaseConsumer<Remembering>| {
                partition_bounds(consumer, topic, partition, *request_timeout, || false)
                    .map_err(|error| failed(asking.clone())(error).because(cause_of(consumer)))
            };
            // In this order, so that records that come in between do not look as if a transaction held them back.
            let high_watermark = bounds(&uncommitted)?.next;
            let stable = bounds(&committed)?;
            partitions.insert(partition, PartitionExtent { stable, high_watermark });
        }
        Ok(TopicExtent { identity: self.ask_for_identity()?, partitions })
    }

    /// Asks, and blocks for as long as `kafka.request_timeout` thrice. Fails at once while somebody else asks.
    fn ask_for_identity(&self) -> Result<TopicIdentity, ClientError> {
        let Kafka { topic, request_timeout, .. } = &self.kafka;
        let failed = |action: String| ClientError::new(&self.kafka, action);
        let asking = format!("ask for the id of topic {topic}");
        let mut kept = match self.identity_client.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let unanswered = KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut);
                return Err(failed(asking)(unanswered));
            }
        };
        let IdentityClient { consumer, cluster_id } = &mut *kept;
        let consumer = match consumer {
            Some(consumer) => consumer,
            None => {
                let created =
                    client::consumer(&self.kafka).create_with_context(Remembering::default());
                consumer.insert(created.map_err(failed("create a consumer".to_owned()))?)
            }
        };
        drop_events(consumer);
        let asked = lake_kafka_describe::topic_id(consumer.client(), topic, *request_timeout);
        let topic_id = asked.map_err(|error| match is_missing_topic(&error) {
            true => failed(missing_topic(topic))(error),
            false => failed(asking)(error).because(cause_of(consumer)),
        })?;
        // Each answer leaks a text in the rdkafka crate, and a client stays with its cluster.
        if cluster_id.is_none() {
            *cluster_id = consumer.client().fetch_cluster_id(*request_timeout);
        }
        Ok(TopicIdentity { cluster_id: cluster_id.clone(), topic_id })
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&TopicEnds) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let asking = self.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&asking)).await;
        asked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// What is done in vain where there is no such topic.
fn missing_topic(topic: &str) -> String {
    format!("find topic {topic}; create it or correct kafka.topic")
}

/// Receives what has come, and nothing else: errors go to the client's context.
fn drop_events(consumer: &BaseConsumer<Remembering>) {
    (0..MOST_DROPPED).find(|_| consumer.poll(Duration::ZERO).is_none());
}

/// What the connections of a client failed with last. A client hands over one event at a time, and some of them look like
/// none.
pub(crate) fn cause_of(consumer: &BaseConsumer<Remembering>) -> Option<String> {
    (0..CAUSE_POLLS).find_map(|_| {
        consumer.poll(Duration::from_millis(1));
        consumer.client().context().cause()
    })
}

#[async_trait]
impl LogEnds for TopicEnds {
    async fn ends(&self) -> Result<TopicExtent, ClientError> {
        self.blocking(TopicEnds::ask_for_ends).await
    }

    async fn identity(&self) -> Result<TopicIdentity, ClientError> {
        self.blocking(TopicEnds::ask_for_identity).await
    }
}
