//! Runs that stop at ends which the broker does not deliver up to: it was elected with less of the log, or is a follower
//! that lags behind.

use std::pin::pin;
use std::sync::Arc;

use object_store::memory::InMemory;
use speed_layer::Engine;
use speed_layer::tables::Tables;
use tokio::sync::oneshot;

use crate::log_source::{LogSource, Order, Topic};
use crate::oracle::expected;
use crate::rivals::until;
use crate::support::{ends_of, held, settings, topic};
use lake_testing::lake_on;

/// The topic as a broker has it that lacks the last records of every partition.
fn cut(topic: &Topic, end: i64) -> Arc<Topic> {
    let mut partitions = topic.partitions.clone();
    for (records, last) in partitions.values_mut() {
        records.retain(|record| record.offset < end);
        *last = end;
    }
    Arc::new(Topic { partitions })
}

#[tokio::test]
async fn offsets_beyond_what_the_broker_has_are_waited_for_and_no_gap() {
    let (lake, settings, asked) = (lake_on(Arc::new(InMemory::new())), settings(), topic());
    let delivered = cut(&asked, 40);
    let (source, orders) = LogSource::new(&delivered, 5);
    assert!(orders.send(Order::Assign(vec![0, 1])).is_ok());
    let tables = Tables::open(&lake, &settings).await.unwrap();
    let engine = Engine::new(source, tables, &settings).unwrap().until(ends_of(&asked));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut run = pin!(engine.run(async { stopped.await.unwrap() }));
    let reached = [(0, 40), (1, 40)];
    tokio::select! {
        _ = &mut run => panic!("it has ended at offsets that were never fetched"),
        () = until(&lake, |held| held.offsets == reached && held.averaged_offsets == reached) => {}
    }
    stop.send(()).unwrap();
    run.await.unwrap();
    assert_eq!(held(&lake).await, expected(&delivered), "gaps too");
}
