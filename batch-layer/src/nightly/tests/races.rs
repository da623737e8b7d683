//! Runs that are killed, and runs that race.

use lake_delta::TableLog;
use lake_model::Day;
use lake_tables::Table;

use super::super::compute::{ComputedDay, compute};
use super::super::publish::{Base, Published, Tables, publish};
use crate::batch_runs::BatchRuns;
use crate::test_support::{World, day, seen};
use crate::{Shutdown, maintain};

fn the_day() -> Day {
    day("2025-04-05")
}

async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    world.process(&[seen("KV1", "2025-04-05T10:00:00Z", 60_000)]).await;
    world
}

/// A run that has computed the day and has yet to publish it.
struct Computing {
    events: TableLog,
    base: Base,
    computed: ComputedDay,
}

impl Computing {
    async fn begin(world: &World, run_id: &str) -> Computing {
        let avg_speed = world.log(Table::AvgSpeed).await;
        let events = world.log(Table::Events).await;
        let base = Base::of(&world.context.app_ids, avg_speed.state(), the_day());
        let computed = compute(&world.context, run_id, events.state(), the_day()).await.unwrap();
        Computing { events, base, computed }
    }

    /// Publishes the day, and is killed before anything is appended to `batch_runs`.
    async fn publish(self, world: &World) -> Published {
        let mut avg_speed = world.log(Table::AvgSpeed).await;
        let mut runs = BatchRuns::open(&world.context).await.unwrap();
        let tables = Tables { avg_speed: &mut avg_speed, runs: &mut runs };
        let pinned = self.events.state();
        publish(&world.context, tables, pinned, &self.base, self.computed).await.unwrap()
    }
}

/// Deletes, as `maintain` does, what no log names, when everything that there is by now is old.
async fn vacuum_ages_later(world: &World) {
    // The store in memory dates files by the machine's clock, of which it is only sure that it is before this.
    world.set_clock("2999-01-01T00:00:00Z");
    let report = maintain::run(&world.context, &world.kafka, false, &Shutdown::never()).await;
    assert!(!report.unwrap().deleted.is_empty());
}

/// The runs that wrote the rows served.
async fn writers(world: &World) -> Vec<String> {
    let log = world.log(Table::AvgSpeed).await;
    let mut writers: Vec<String> = log
        .state()
        .files_of(the_day())
        .filter_map(lake_tables::file_kind::AvgSpeedFile::run_id)
        .collect();
    writers.dedup();
    writers
}

#[tokio::test]
async fn of_two_runs_from_the_same_events_the_first_wins_and_the_second_cleans_up() {
    let world = world().await;
    let first = Computing::begin(&world, "first").await;
    let second = Computing::begin(&world, "second").await;
    let paths: Vec<String> = second.computed.files.iter().map(|file| file.path.clone()).collect();
    assert!(matches!(first.publish(&world).await, Published::Final(_)));
    let version = world.version(Table::AvgSpeed).await;
    assert!(matches!(second.publish(&world).await, Published::Superseded(_)));
    assert_eq!(world.version(Table::AvgSpeed).await, version);
    assert_eq!(writers(&world).await, ["first"]);
    let store = world.context.lake.table_store(Table::AvgSpeed);
    for path in paths {
        use object_store::ObjectStoreExt;
        assert!(store.head(&object_store::path::Path::from(path)).await.is_err());
    }
}

#[tokio::test]
async fn a_run_suspended_until_its_files_are_vacuumed_computes_the_day_again() {
    let world = world().await;
    let suspended = Computing::begin(&world, "suspended").await;
    vacuum_ages_later(&world).await;
    let published = suspended.publish(&world).await;
    assert!(matches!(&published, Published::Behind(why) if why.contains("maintain")));
    assert!(writers(&world).await.is_empty(), "no log names a file that is gone");
    assert_eq!(world.nightly().await.done.len(), 1);
    assert_eq!(world.served(the_day()).await[0].summary.count(), 1);
}

#[tokio::test]
async fn of_two_runs_the_one_from_newer_events_wins_in_either_order() {
    for older_first in [true, false] {
        let mut world = world().await;
        let older = Computing::begin(&world, "older").await;
        world.land(&[seen("KV1", "2025-04-05T10:01:00Z", 70_000).late()]).await;
        let newer = Computing::begin(&world, "newer").await;
        let (one, two) = if older_first { (older, newer) } else { (newer, older) };
        let _ = one.publish(&world).await;
        let _ = two.publish(&world).await;
        assert_eq!(writers(&world).await, ["newer"]);
        assert_eq!(world.served(the_day()).await[0].summary.count(), 2);
    }
}

#[tokio::test]
async fn a_run_killed_before_it_is_recorded_is_recorded_by_the_next_and_not_repeated() {
    let world = world().await;
    let Published::Final(run) = Computing::begin(&world, "killed").await.publish(&world).await
    else {
        panic!("nobody else publishes");
    };
    assert!(world.runs().await.is_empty());
    let version = world.version(Table::AvgSpeed).await;
    let report = world.nightly().await;
    assert_eq!((report.repaired, report.done.len()), (1, 0));
    assert_eq!(world.runs().await, [run]);
    assert_eq!(world.version(Table::AvgSpeed).await, version);
    assert_eq!(world.nightly().await.repaired, 0);
}

#[tokio::test]
async fn a_run_that_is_overwritten_before_it_is_recorded_is_recorded_first() {
    let mut world = world().await;
    let Published::Final(older) = Computing::begin(&world, "older").await.publish(&world).await
    else {
        panic!("nobody else publishes");
    };
    world.land(&[seen("KV1", "2025-04-05T10:01:00Z", 70_000).late()]).await;
    let newer = Computing::begin(&world, "newer").await;
    assert!(matches!(newer.publish(&world).await, Published::Final(_)));
    assert_eq!(world.runs().await, [older]);
}

#[tokio::test]
async fn a_run_killed_before_it_publishes_leaves_the_old_rows_served() {
    let world = world().await;
    let before = world.served(the_day()).await;
    let _killed = Computing::begin(&world, "killed").await;
    assert_eq!(world.served(the_day()).await, before);
    assert_eq!(world.nightly().await.done.len(), 1);
}

#[tokio::test]
async fn rows_that_the_speed_layer_commits_meanwhile_are_replaced_if_their_events_were_read() {
    let mut world = world().await;
    let newer = [seen("KV1", "2025-04-05T10:01:00Z", 70_000)];
    world.land(&newer).await;
    let computing = Computing::begin(&world, "run").await;
    world.average(&newer).await;
    let Published::Final(run) = computing.publish(&world).await else {
        panic!("the pinned version reaches the new rows");
    };
    assert_eq!((run.rows_read, run.drift_windows), (2, 0));
    assert_eq!(writers(&world).await, ["run"]);
}

#[tokio::test]
async fn rows_that_the_speed_layer_commits_meanwhile_from_newer_events_are_not_overwritten() {
    let mut world = world().await;
    let computing = Computing::begin(&world, "run").await;
    world.process(&[seen("KV1", "2025-04-05T10:01:00Z", 70_000)]).await;
    assert!(matches!(computing.publish(&world).await, Published::Behind(_)));
    assert!(writers(&world).await.is_empty());
    assert_eq!(world.nightly().await.done[0].rows_read, 2);
}
