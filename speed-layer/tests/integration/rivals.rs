//! Two instances at once: rebalances in good order, partitions lost, and zombies.

use std::sync::Arc;

use lake_config::Settings;
use lake_delta::Lake;
use lake_testing::lake_on;
use object_store::memory::InMemory;
use speed_layer::Engine;
use speed_layer::tables::Tables;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet};

use crate::log_source::{LogSource, Order, Topic};
use crate::oracle::expected;
use crate::support::{Held, held, settings, topic};

pub struct Instance {
    pub orders: mpsc::UnboundedSender<Order>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub async fn instance(lake: &Lake, topic: &Arc<Topic>, settings: &Settings) -> Instance {
    instance_on(Tables::open(lake, settings).await.unwrap(), topic, settings)
}

pub fn instance_on(tables: Tables, topic: &Arc<Topic>, settings: &Settings) -> Instance {
    let (source, orders) = LogSource::new(topic, 3);
    let source = source.decoding(settings.event.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let engine = Engine::new(source, tables, settings).unwrap();
    let task = tokio::task::spawn_local(async move {
        engine.run(async { stopped.await.unwrap() }).await.unwrap();
    });
    Instance { orders, stop, task }
}

impl Instance {
    pub fn assign(&self, partitions: &[i32]) {
        assert!(self.orders.send(Order::Assign(partitions.to_vec())).is_ok());
    }

    async fn revoke(&self, partitions: &[i32]) {
        let (done, answer) = oneshot::channel();
        assert!(self.orders.send(Order::Revoke(partitions.to_vec(), done)).is_ok());
        answer.await.unwrap();
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

pub async fn until(lake: &Lake, reached: impl Fn(&Held) -> bool) {
    while !reached(&held(lake).await) {
        tokio::task::yield_now().await;
    }
}

pub fn covered(held: &Held) -> i64 {
    held.offsets.iter().map(|(_, next)| next).sum()
}

pub fn without_gaps(mut held: Held) -> Held {
    held.gaps.clear();
    held
}

#[tokio::test]
async fn partitions_handed_over_in_good_order_continue_elsewhere() {
    LocalSet::new()
        .run_until(async {
            let (lake, topic) = (lake_on(Arc::new(InMemory::new())), topic());
            let first = instance(&lake, &topic, &settings()).await;
            let second = instance(&lake, &topic, &settings()).await;
            first.assign(&[0, 1]);
            until(&lake, |held| covered(held) > 0).await;
            first.revoke(&[1]).await;
            second.assign(&[1]);
            let ends = topic.ends().into_iter().collect::<Vec<_>>();
            until(&lake, |held| held.offsets == ends && held.averaged_offsets == ends).await;
            first.stop().await;
            second.stop().await;
            assert_eq!(without_gaps(held(&lake).await), without_gaps(expected(&topic)));
        })
        .await;
}

#[tokio::test]
async fn a_zombie_and_its_successor_land_each_offset_once() {
    LocalSet::new()
        .run_until(async {
            let (lake, topic) = (lake_on(Arc::new(InMemory::new())), topic());
            // Both believe that they own both partitions, and go on until the end of the topic.
            let zombie = instance(&lake, &topic, &settings()).await;
            zombie.assign(&[0, 1]);
            until(&lake, |held| covered(held) > 0).await;
            let successor = instance(&lake, &topic, &settings()).await;
            successor.assign(&[0, 1]);
            let ends = topic.ends().into_iter().collect::<Vec<_>>();
            until(&lake, |held| held.offsets == ends && held.averaged_offsets == ends).await;
            zombie.stop().await;
            successor.stop().await;
            assert_eq!(without_gaps(held(&lake).await), without_gaps(expected(&topic)));
        })
        .await;
}

/// Every offset that the tables hold of a record or a gap, in order, and repeated where they repeat it.
fn landed(held: &Held) -> Vec<(i32, i64)> {
    let gaps = held.gaps.iter();
    let gaps = gaps.flat_map(|(id, range)| range.offsets().map(move |at| (*id, at.0)));
    let records = held.events.keys().chain(&held.dead_letters).copied();
    let mut landed: Vec<_> = records.chain(gaps).collect();
    landed.sort_unstable();
    landed
}

fn all_offsets(topic: &Topic) -> Vec<(i32, i64)> {
    let ends = topic.ends().into_iter();
    ends.flat_map(|(id, end)| (0..end).map(move |at| (id, at))).collect()
}

#[tokio::test]
async fn of_two_instances_that_decode_differently_each_offset_lands_in_one_table_once() {
    LocalSet::new()
        .run_until(async {
            let topic = topic();
            let ends = topic.ends().into_iter().collect::<Vec<_>>();
            let mut lenient = settings();
            // Every batch is a commit of its own.
            lenient.speed.landing_bytes = 1;
            let mut strict = lenient.clone();
            // Most speeds of the topic are above it.
            strict.event.max_speed_kmh = 60.0;
            let mut mixed = 0;
            for start in (0..60).step_by(4) {
                let lake = lake_on(Arc::new(InMemory::new()));
                let zombie = instance(&lake, &topic, &strict).await;
                zombie.assign(&[0, 1]);
                until(&lake, |held| covered(held) >= start).await;
                let successor = instance(&lake, &topic, &lenient).await;
                successor.assign(&[0, 1]);
                until(&lake, |held| held.offsets == ends && held.averaged_offsets == ends).await;
                zombie.stop().await;
                successor.stop().await;
                let held = held(&lake).await;
                assert_eq!(landed(&held), all_offsets(&topic), "{start}");
                assert_eq!(held.event_rows, held.events.len());
                let expected = expected(&topic);
                let is_strict = held.dead_letters.len() > expected.dead_letters.len();
                mixed += usize::from(is_strict && held.events.keys().any(|at| above(&topic, at)));
            }
            assert!(mixed > 0, "both decoded some of what landed in a run");
        })
        .await;
}

/// Whether a record is an event only to the less strict of the two decoders.
fn above(topic: &Topic, (partition, offset): &(i32, i64)) -> bool {
    let (records, _) = &topic.partitions[partition];
    let record = records.iter().find(|record| record.offset == *offset);
    let payload = record.and_then(|record| record.payload.as_deref()).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(payload).unwrap();
    value["vehicle_speed"].as_f64().unwrap() > 60.0
}

#[tokio::test]
async fn lost_partitions_are_dropped_without_a_commit_and_replayed() {
    LocalSet::new()
        .run_until(async {
            let (lake, topic) = (lake_on(Arc::new(InMemory::new())), topic());
            let slow = Settings {
                speed: lake_config::Speed {
                    landing_interval: std::time::Duration::from_secs(600),
                    commit_interval: std::time::Duration::from_secs(300),
                    position_interval: std::time::Duration::from_secs(600),
                    ..settings().speed
                },
                ..settings()
            };
            let first = instance(&lake, &topic, &slow).await;
            first.assign(&[0, 1]);
            assert!(first.orders.send(Order::Lose(vec![0, 1])).is_ok());
            first.stop().await;
            assert_eq!(covered(&held(&lake).await), 0);
            crate::support::run_to_end(lake.clone(), &topic, &settings()).await;
            assert_eq!(without_gaps(held(&lake).await), without_gaps(expected(&topic)));
        })
        .await;
}
