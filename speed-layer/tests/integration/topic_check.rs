//! Another topic under the name of the one whose offsets the tables hold.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use async_trait::async_trait;
use lake_kafka::{ClientError, LogEnds, TopicExtent};
use lake_model::TopicIdentity;
use lake_tables::identity::LakeIdentity;
use lake_testing::lake_on;
use object_store::memory::InMemory;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use speed_layer::tables::Tables;
use speed_layer::topic_check::TopicCheck;
use speed_layer::{Engine, EngineError};

use crate::log_source::{LogSource, Order};
use crate::oracle::expected;
use crate::support::{ends_of, held, settings, topic};

/// A Kafka that has the topic with this id, and says so that many times.
struct Answers(&'static str, AtomicUsize);

/// A Kafka that always answers.
fn always(id: &'static str) -> Answers {
    Answers(id, AtomicUsize::new(usize::MAX))
}

fn identity(id: &str) -> TopicIdentity {
    TopicIdentity { cluster_id: Some("cluster".to_owned()), topic_id: Some(id.to_owned()) }
}

#[async_trait]
impl LogEnds for Answers {
    async fn ends(&self) -> Result<TopicExtent, ClientError> {
        unreachable!("only the identity is asked for")
    }

    async fn identity(&self) -> Result<TopicIdentity, ClientError> {
        let failed = ClientError::new(&settings().kafka, "ask");
        let away = KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut);
        let left = self.1.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        left.map(|_| identity(self.0)).map_err(|_| failed(away))
    }
}

/// Runs an engine to the end of the topic, on a lake that holds offsets of the topic "first".
async fn run(kafka: Answers) -> (Result<(), EngineError>, crate::support::Held) {
    let (lake, settings, topic) = (lake_on(Arc::new(InMemory::new())), settings(), topic());
    let (source, orders) = LogSource::new(&topic, 5);
    assert!(orders.send(Order::Assign(vec![0, 1])).is_ok());
    let first = LakeIdentity::of(&settings).on(identity("first"));
    let tables = Tables::open_as(&lake, first.clone()).await.unwrap();
    let engine = Engine::new(source, tables, &settings).unwrap().until(ends_of(&topic));
    let engine = engine.checking(TopicCheck::Asking(Arc::new(kafka), first));
    let result = engine.run(std::future::pending()).await;
    (result, held(&lake).await)
}

#[tokio::test]
async fn nothing_is_committed_of_a_topic_that_was_created_again() {
    let (result, held) = run(always("second")).await;
    let error = result.unwrap_err();
    assert!(matches!(error, EngineError::Lake(ref error) if error.exit_code() == 2), "{error}");
    for part in ["topic id second", "topic id first", "deleted and created again"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!((held.event_rows, held.average_rows, held.offsets), (0, 0, vec![]));
}

#[tokio::test]
async fn what_is_held_is_committed_while_kafka_does_not_say_which_topic_it_is() {
    // Where a partition begins is decided with an answer.
    let (result, held) = run(Answers("first", AtomicUsize::new(1))).await;
    result.unwrap();
    assert_eq!(held, expected(&topic()));
}

#[tokio::test]
async fn the_topic_that_the_tables_know_lands() {
    let (result, held) = run(always("first")).await;
    result.unwrap();
    assert_eq!(held, expected(&topic()));
}
