//! That maintenance keeps every row and every promise.

#![allow(clippy::unwrap_used)]

mod faults;
mod left;
mod retention;
mod vacuum;

use lake_delta::log::FileEntry;
use lake_delta::{Commit, read};
use lake_model::{KafkaPartition, Offset, OffsetRange, TableVersion};
use lake_tables::Table;
use lake_tables::offset_gaps::{GapReason, OffsetGap};

use super::{CompactDay, MaintainReport, run};
use crate::test_support::{NobodyAsks, Seen, World, at, day, options, seen};
use crate::{Shutdown, audit, nightly, verify};

const DAY: &str = "2025-04-05";

async fn maintain(world: &World) -> MaintainReport {
    run(&world.context, &world.kafka, false, &Shutdown::never()).await.unwrap()
}

/// Two days in many small files, repeats and late events among them.
async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    for index in 0..12_u32 {
        let time = |day: u32| format!("2025-04-{day:02}T{:02}:30:00Z", 23 - index);
        let camera = format!("KV{}", index % 3);
        let event = seen(&camera, &time(5), 50_000 + index).in_partition(0);
        let other = seen(&camera, &time(6), 60_000 + index).in_partition(1).with_plate("A");
        let late = Seen { late: true, ..other.clone() };
        world.process(&[event.clone(), event, other, late]).await;
    }
    world
}

/// Every row of a day with its place in Kafka, as text, and the files in the order of their paths.
async fn rows(world: &World, of: &str) -> (Vec<String>, Vec<FileEntry>) {
    let log = world.log(Table::Events).await;
    let files: Vec<FileEntry> = log.state().files_of(day(of)).cloned().collect();
    let texts = |batch: &arrow::array::RecordBatch| {
        let text = |row| {
            let row = batch.slice(row, 1);
            Ok(format!("{:?}", row.columns()))
        };
        (0..batch.num_rows()).map(text).collect::<Result<Vec<_>, String>>()
    };
    let lake = &world.context.lake;
    let mut rows = read::collect(lake, Table::Events, &files, &[], texts).await.unwrap();
    rows.sort_unstable();
    (rows, files)
}

async fn versions(world: &World) -> Vec<TableVersion> {
    let mut versions = Vec::new();
    for table in Table::ALL {
        versions.push(world.version(table).await);
    }
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_keeps_every_row_and_the_day_stays_clean() {
    let world = world().await;
    world.nightly().await;
    let (before, many) = rows(&world, DAY).await;
    let report = maintain(&world).await;
    assert_eq!(report.rewritten.len(), 2, "{report}");
    let (after, few) = rows(&world, DAY).await;
    assert_eq!((before.len(), many.len(), few.len()), (24, 12, 1));
    assert_eq!(after, before);
    assert_eq!(few[0].rows, 24);
    assert!(world.nightly().await.done.is_empty());
    assert!(audit::run(&world.context).await.unwrap().is_ok());
    assert!(verify::run(&world.context, day(DAY)).await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn compacted_rows_are_in_order_of_camera_and_event_time() {
    let world = world().await;
    world.nightly().await;
    maintain(&world).await;
    let log = world.log(Table::Events).await;
    let order = |batch: &arrow::array::RecordBatch| {
        let cameras = lake_delta::columns::string(batch, "camera_id")?;
        let times = lake_delta::columns::timestamp(batch, "event_time")?;
        let row = |at| (cameras.value(at).to_owned(), times.value(at));
        Ok::<_, lake_delta::columns::ColumnError>((0..batch.num_rows()).map(row).collect())
    };
    let files = log.state().files_of(day(DAY));
    let rows = read::collect(&world.context.lake, Table::Events, files, &[], order).await.unwrap();
    assert!(rows.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn running_it_again_changes_nothing() {
    let world = world().await;
    world.nightly().await;
    maintain(&world).await;
    let before = versions(&world).await;
    let report = maintain(&world).await;
    assert_eq!(report, MaintainReport::default());
    assert_eq!(versions(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_more_rows_than_may_be_held_is_compacted_in_slices() {
    let mut world = world().await;
    world.nightly().await;
    let (before, _) = rows(&world, DAY).await;
    // Less than a file has, so that every file is a slice of its own.
    world.context.settings.batch.max_rows_in_memory = 1;
    let report = maintain(&world).await;
    let counts: Vec<_> = report.rewritten.iter().map(|done| (done.before, done.after)).collect();
    assert_eq!(counts, [(12, Some(12)); 2], "{report}");
    let (after, files) = rows(&world, DAY).await;
    assert_eq!((&after, files.len()), (&before, 12));
    assert_eq!(maintain(&world).await, MaintainReport::default());
    // With more room small files are put together.
    world.context.settings.batch.max_rows_in_memory = 8_000_000;
    let report = maintain(&world).await;
    let counts: Vec<_> = report.rewritten.iter().map(|done| (done.before, done.after)).collect();
    assert_eq!(counts, [(12, Some(1)); 2], "{report}");
    assert_eq!(rows(&world, DAY).await.0, before);
    assert_eq!(maintain(&world).await, MaintainReport::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_days_are_compacted_before_they_are_final_and_while_they_are_dirty() {
    let mut world = world().await;
    let (before, _) = rows(&world, DAY).await;
    let report = maintain(&world).await;
    assert_eq!(report.rewritten.len(), 2, "{report}");
    assert_eq!(rows(&world, DAY).await.0, before);
    assert_eq!(world.nightly().await.done.len(), 2);
    for index in 0..2 {
        let late = seen("KV1", &format!("2025-04-05T11:00:0{index}Z"), 70_000).late();
        world.land(&[late]).await;
    }
    let report = maintain(&world).await;
    assert_eq!((report.rewritten[0].before, report.rewritten[0].after), (3, Some(1)));
    assert_eq!(report.rewritten.len(), 1);
    let done = world.nightly().await.done;
    assert_eq!(done.iter().map(|run| run.rows_read).collect::<Vec<_>>(), [26]);
    assert!(audit::run(&world.context).await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_open_day_only_as_much_as_fills_slices_is_compacted() {
    let mut world = World::new("UTC", "2025-04-05T12:00:00Z").await;
    for minute in 0..5 {
        world.process(&[seen("KV1", &format!("2025-04-05T11:0{minute}:00Z"), 70_000)]).await;
    }
    assert!(maintain(&world).await.rewritten.is_empty());
    world.context.settings.batch.max_rows_in_memory = 1;
    let report = maintain(&world).await;
    assert_eq!((report.rewritten[0].before, report.rewritten[0].after), (4, Some(4)));
    let (rows, files) = rows(&world, DAY).await;
    assert_eq!((rows.len(), files.len()), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_to_stop_leaves_the_slices_that_are_not_begun() {
    let world = world().await;
    let mut events = world.log(Table::Events).await;
    let mut report = MaintainReport::default();
    let of = CompactDay { day: day(DAY), is_closed: true };
    let stopped = Shutdown::on(std::future::ready(()));
    super::compact::day(&world.context, &mut events, of, &mut report, &stopped).await.unwrap();
    assert!(report.rewritten.is_empty() && !report.is_complete(), "{report}");
    assert!(report.to_string().contains("events 2025-04-05: LEFT"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_it_would_do_and_changes_nothing() {
    let world = world().await;
    world.nightly().await;
    let before = versions(&world).await;
    let report = run(&world.context, &NobodyAsks, true, &Shutdown::never()).await.unwrap();
    assert!(report.to_string().contains("events 2025-04-05: 12 files would become fewer"));
    assert_eq!(versions(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_of_other_tables_are_merged() {
    let world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    for first in 0..101 {
        let (kafka_partition, range) = (KafkaPartition(0), OffsetRange::single(Offset(first)));
        let (reason, noted_at) = (GapReason::NotDelivered, at("2025-04-05T10:00:00Z"));
        world.note_gaps(&[OffsetGap { kafka_partition, range, reason, noted_at }]).await;
    }
    let report = maintain(&world).await;
    assert_eq!((report.rewritten[0].before, report.rewritten[0].after), (101, Some(1)));
    let log = world.log(Table::OffsetGaps).await;
    assert_eq!(log.state().files().map(|file| file.rows).collect::<Vec<_>>(), [101]);
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_gives_way_to_a_writer_that_takes_its_files_away() {
    let world = world().await;
    world.nightly().await;
    let mut events = world.log(Table::Events).await;
    let stale = world.log(Table::Events).await;
    let taken: Vec<FileEntry> = stale.state().files_of(day(DAY)).take(1).cloned().collect();
    let commit = Commit::new(&world.context.lake, "TAKE").remove(taken);
    world.commit(Table::Events, &commit).await;
    let mut report = MaintainReport::default();
    let (of, never) = (CompactDay { day: day(DAY), is_closed: true }, Shutdown::never());
    super::compact::day(&world.context, &mut events, of, &mut report, &never).await.unwrap();
    assert!(report.rewritten.is_empty());
    assert_eq!(rows(&world, DAY).await.1.len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nightly_run_reads_a_pinned_version_that_was_compacted_since() {
    let world = world().await;
    world.nightly().await;
    maintain(&world).await;
    let forced = nightly::NightlyOptions { force: true, ..options() };
    let report = world.nightly_with(forced).await;
    assert!(report.done.iter().all(|run| run.drift_windows == 0));
    assert_eq!(report.done.len(), 2);
}
