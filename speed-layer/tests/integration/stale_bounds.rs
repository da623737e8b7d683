//! What Kafka has of a partition was asked before the tables were read: another instance may have landed more by then.

use std::sync::Arc;

use async_trait::async_trait;
use lake_delta::Lake;
use lake_model::{KafkaPartition, Offset};
use lake_testing::lake_on;
use object_store::memory::InMemory;
use speed_layer::recovery::RecoveryError;
use speed_layer::source::{AssignedPartition, Source, SourceEvent, Start};
use speed_layer::tables::Tables;
use speed_layer::{Engine, EngineError};
use tokio::sync::{mpsc, oneshot};

use crate::support::{run_to_end, settings, topic};

/// Assigns partition 0 with one end after the other, and hands on what it is answered.
struct Assigning {
    ends: std::vec::IntoIter<i64>,
    asked: Option<oneshot::Receiver<Vec<Start>>>,
    answers: mpsc::UnboundedSender<Vec<Start>>,
}

#[async_trait]
impl Source for Assigning {
    async fn next(&mut self) -> SourceEvent {
        if let Some(asked) = &mut self.asked {
            let answer = asked.await.unwrap();
            self.asked = None;
            self.answers.send(answer).unwrap();
        }
        let Some(high) = self.ends.next() else {
            return SourceEvent::Failed { problem: "the script is over".to_owned() };
        };
        let (reply, asked) = oneshot::channel();
        self.asked = Some(asked);
        let (partition, low, high) = (KafkaPartition(0), Offset::ZERO, Offset(high));
        let partitions = vec![AssignedPartition { partition, low, high, truncation: None }];
        SourceEvent::Assigned { partitions, reply }
    }

    fn seek(&mut self, _start: Start) {}

    fn commit_offsets(&mut self, _next_offsets: &[(KafkaPartition, Offset)]) {}

    async fn close(&mut self) {}
}

/// A lake that holds the whole topic, and where it ends.
async fn landed() -> (Lake, i64) {
    let (lake, topic) = (lake_on(Arc::new(InMemory::new())), topic());
    run_to_end(lake.clone(), &topic, &settings()).await;
    (lake, topic.ends()[&0])
}

/// What an engine answers to these ends of partition 0, and why it ends.
async fn answers(lake: &Lake, ends: Vec<i64>) -> (Vec<Vec<i64>>, EngineError) {
    let (answers, mut answered) = mpsc::unbounded_channel();
    let source = Assigning { ends: ends.into_iter(), asked: None, answers };
    let tables = Tables::open(lake, &settings()).await.unwrap();
    let engine = Engine::new(source, tables, &settings()).unwrap();
    let error = engine.run(std::future::pending()).await.unwrap_err();
    let mut offsets = Vec::new();
    while let Ok(starts) = answered.try_recv() {
        offsets.push(starts.iter().map(|start| start.offset.0).collect());
    }
    (offsets, error)
}

#[tokio::test]
async fn an_end_before_what_is_landed_is_asked_for_again_and_then_continued() {
    let (lake, end) = landed().await;
    let (offsets, error) = answers(&lake, vec![end - 1, end]).await;
    assert_eq!(offsets, [vec![], vec![end]]);
    assert!(matches!(error, EngineError::Source(_)), "{error}");
}

#[tokio::test]
async fn an_end_that_stays_before_what_is_landed_is_an_error() {
    let (lake, end) = landed().await;
    let (offsets, error) = answers(&lake, vec![end - 1, end - 1]).await;
    assert_eq!(offsets, [Vec::<i64>::new()]);
    let expected = matches!(
        error,
        EngineError::Recovery(RecoveryError::Shorter { partition: KafkaPartition(0), wanted, .. })
            if wanted == Offset(end)
    );
    assert!(expected, "{error}");
}
