//! The engine on a log that was cut while it runs.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use lake_config::OnDataLoss;
use lake_kafka::{ClientError, LogEnds, PartitionExtent, TopicExtent};
use lake_model::{LeaderEpoch, OffsetRange, TopicIdentity};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;
use lake_tables::txn::CutBelowLanded;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::decode::DecodedBatch;
use crate::test_instance::{Instance, event, lake, minute, offsets, whole};
use crate::truncation;

use super::*;

const PARTITION: KafkaPartition = KafkaPartition(0);

/// A partition whose records up to `end` are those of leader 6.
struct Regrown {
    end: Offset,
    asked: Option<oneshot::Receiver<Vec<Start>>>,
    position: Option<Start>,
    has_begun: bool,
    is_at_end: bool,
    settings: Settings,
}

impl Regrown {
    fn up_to(end: i64, settings: &Settings) -> Regrown {
        let (asked, position, settings) = (None, None, settings.clone());
        let end = Offset(end);
        Regrown { end, asked, position, has_begun: false, is_at_end: false, settings }
    }
}

#[async_trait]
impl Source for Regrown {
    async fn next(&mut self) -> SourceEvent {
        if !std::mem::replace(&mut self.has_begun, true) {
            let (reply, asked) = oneshot::channel();
            self.asked = Some(asked);
            return SourceEvent::Assigned { partitions: vec![whole(0)], reply };
        }
        if let Some(asked) = self.asked.take() {
            self.position = asked.await.unwrap().first().copied();
        }
        let (end, leader_epoch) = (self.end, LeaderEpoch::new(6));
        let start = self.position.as_mut().unwrap();
        let (partition, epoch) = (start.partition, start.epoch);
        if start.offset < end {
            let mut batch = DecodedBatch::new(partition, epoch);
            batch.leader_epoch = leader_epoch;
            for offset in start.offset.0..end.0 {
                let event = event(minute(offset));
                let payload = Some(event.as_bytes());
                batch.push(Offset(offset), minute(48 * 60), None, payload, &self.settings.event);
            }
            start.offset = end;
            return SourceEvent::Records(Box::new(batch));
        }
        if std::mem::replace(&mut self.is_at_end, true) {
            std::future::pending::<()>().await;
        }
        SourceEvent::Position { partition, epoch, next: end, leader_epoch }
    }

    fn seek(&mut self, start: Start) {
        self.position = Some(start);
    }

    fn commit_offsets(&mut self, _next_offsets: &[(KafkaPartition, Offset)]) {}

    async fn close(&mut self) {}
}

/// A group in which others have all partitions.
struct Idle;

#[async_trait]
impl Source for Idle {
    async fn next(&mut self) -> SourceEvent {
        std::future::pending().await
    }

    fn seek(&mut self, _start: Start) {}

    fn commit_offsets(&mut self, _next_offsets: &[(KafkaPartition, Offset)]) {}

    async fn close(&mut self) {}
}

/// A Kafka whose partition 0 ends there.
struct EndsAt(i64);

#[async_trait]
impl LogEnds for EndsAt {
    async fn ends(&self) -> Result<TopicExtent, ClientError> {
        let extent = PartitionExtent::all_stable(OffsetRange::new(Offset::ZERO, Offset(self.0)));
        Ok(TopicExtent { partitions: [(PARTITION, extent)].into(), ..TopicExtent::default() })
    }

    async fn identity(&self) -> Result<TopicIdentity, ClientError> {
        Ok(TopicIdentity::default())
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_to_an_end_that_a_cut_took_away_from_another_instance_ends_where_the_log_ends() {
    let lake = lake();
    let mut other = Instance::holding(&lake, &[0]).await;
    other.receive_under(5, 0, 10);
    other.land().await;
    other.average(true).await;
    let settings = Settings::default();
    let tables = Tables::open(&lake, &settings).await.unwrap();
    let identity = LakeIdentity::of(&settings);
    let asked = StopAt::from([(PARTITION, Offset(20))].into_iter().collect::<BTreeMap<_, _>>());
    let engine = Engine::new(Idle, tables, &settings).unwrap().until(asked);
    let engine = engine.checking(TopicCheck::Asking(Arc::new(EndsAt(8)), identity));
    let (end, next) = (Some(Offset(7)), Offset(10));
    let cut = CutBelowLanded {
        partition: PARTITION,
        end,
        position: next,
        covered_to: next,
        averaged_to: next,
    };
    truncation::accept(other.committer.tables_mut(), cut).await.unwrap();
    let run = engine.run(std::future::pending());
    timeout(Duration::from_secs(3600), run).await.expect("it waits for the old end").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_run_to_an_end_that_a_cut_took_away_ends_where_the_log_ends_by_then() {
    let lake = lake();
    let mut before = Instance::holding(&lake, &[0]).await;
    before.receive_under(5, 0, 6);
    before.land().await;
    before.average(true).await;
    before.receive_under(5, 6, 4);
    before.land().await;
    // Records that contradict what is landed show the cut: averages are to go on at offset 6.
    let mut settings = Settings::default();
    settings.kafka.on_data_loss = OnDataLoss::Accept;
    let tables = Tables::open(&lake, &settings).await.unwrap();
    let asked = StopAt::from([(PARTITION, Offset(20))].into_iter().collect::<BTreeMap<_, _>>());
    let engine = Engine::new(Regrown::up_to(12, &settings), tables, &settings).unwrap();
    let run = engine.until(asked).run(std::future::pending());
    timeout(Duration::from_secs(3600), run).await.expect("it waits for the old end").unwrap();
    let all: Vec<_> = (0..12).map(|offset| (0, offset)).collect();
    assert_eq!(offsets(&lake, Table::Events).await, all);
}
