//! That the work of a night grows with the days that are due, and no faster.

use std::sync::atomic::{AtomicI64, Ordering};

use lake_testing::stores::{Intercept, Intercepted};

use crate::test_support::{HOUR_US, Seen, World, seen};

/// A store that counts requests.
#[derive(Debug, Default)]
struct Counting(AtomicI64);

impl Intercept for Counting {
    fn admit(&self) -> object_store::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// An event of each of so many days.
fn an_event_a_day(days: i64) -> Vec<Seen> {
    let event = seen("KV1", "2025-01-01T10:00:00Z", 60_000);
    let on =
        |index| Seen { time: event.time.saturating_add(index * 24 * HOUR_US), ..event.clone() };
    (0..days).map(on).collect()
}

/// The requests of a nightly run that finds so many days dirty, and none other.
async fn requests(days: i64) -> i64 {
    let mut world = World::new("UTC", "2026-01-01T12:00:00Z").await;
    world.process(&an_event_a_day(days)).await;
    world.nightly().await;
    let late = an_event_a_day(days).into_iter().map(Seen::late);
    let late = late.map(|event| Seen { thousandths: 70_000, ..event });
    world.land(&late.collect::<Vec<_>>()).await;
    let mut store = None;
    world.decorate(|behind| store.insert(Intercepted::new(behind, Counting::default())).clone());
    let report = world.nightly().await;
    assert_eq!(i64::try_from(report.done.len()), Ok(days), "{report}");
    store.map_or(0, |store| store.0.load(Ordering::Relaxed))
}

#[tokio::test]
async fn twice_as_many_dirty_days_cost_twice_as_many_requests() {
    let (few, more, many) = (requests(8).await, requests(16).await, requests(32).await);
    let (first, second) = (more - few, many - more);
    assert!(few > 0 && first > 0, "{few}, {more}, {many}");
    // A tenth for checkpoints, which come with every so many commits.
    assert!(10 * second <= 11 * 2 * first, "{few}, {more}, {many}");
}
