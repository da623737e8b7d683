//! That maintenance keeps every row and every promise.

#![allow(clippy::unwrap_used)]

mod faults;
mod left;

use std::time::Duration;

use futures::TryStreamExt;
use lake_delta::data_file::NewFile;
use lake_delta::log::FileEntry;
use lake_delta::{Commit, data_file, read};
use lake_model::finalization::DayDecision;
use lake_model::{KafkaPartition, Offset, OffsetRange, TableVersion, WindowSize};
use lake_tables::Table;
use lake_tables::offset_gaps::{GapReason, OffsetGap};

use super::{MaintainReport, run};
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

/// A file of `avg_speed` that no log will name.
async fn orphan(world: &World) -> (NewFile, arrow::array::RecordBatch) {
    let batch = lake_tables::avg_speed::batch(&world.served(day(DAY)).await);
    let id = world.context.lake.unique_id();
    let new =
        lake_tables::file_kind::AvgSpeedFile::new_final(day(DAY), "lost", WindowSize::Day, id);
    (new, batch)
}

async fn stored(world: &World, table: Table) -> usize {
    let files = world.context.lake.table_store(table).list(None);
    let names: Vec<String> =
        files.map_ok(|file| file.location.to_string()).try_collect().await.unwrap();
    names.iter().filter(|name| !name.starts_with('_')).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_keeps_every_row_and_the_day_stays_clean() {
    let mut world = world().await;
    world.context.settings.batch.max_rows_in_memory = 48;
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
async fn open_and_dirty_days_are_left_alone() {
    let mut world = world().await;
    assert!(maintain(&world).await.rewritten.is_empty());
    world.nightly().await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    let report = maintain(&world).await;
    let days: Vec<_> = report.rewritten.iter().map(|rewritten| rewritten.day).collect();
    assert_eq!(days, [Some(day("2025-04-06"))]);
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

/// A world whose two days are past their retention.
async fn expired() -> World {
    let mut world = world().await;
    world.nightly().await;
    world.context.settings.maintain.event_retention = Some(Duration::from_secs(86_400));
    world.set_clock("2025-04-20T12:00:00Z");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn days_past_retention_are_dropped_frozen_and_still_served_and_audited() {
    let world = expired().await;
    let served = world.served(day(DAY)).await;
    world.kafka_has(0, 24..24);
    world.kafka_has(1, 24..24);
    let report = maintain(&world).await;
    assert_eq!(report.dropped_days, [day(DAY), day("2025-04-06")]);
    assert_eq!(world.log(Table::Events).await.state().files().count(), 0);
    assert_eq!(world.served(day(DAY)).await, served);
    let plan = world.nightly().await.planned;
    assert!(plan.iter().all(|planned| planned.decision == DayDecision::Frozen));
    let audited = audit::run(&world.context).await.unwrap();
    assert!(audited.is_ok(), "{audited}");
    assert_eq!(audited.partitions[0].first_offset, Offset(24));
    let verified = verify::run(&world.context, day(DAY)).await.unwrap();
    assert_eq!(verified.verdict, verify::Verdict::Frozen);
    let before = versions(&world).await;
    assert!(maintain(&world).await.dropped_days.is_empty());
    assert_eq!(versions(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_kafka_still_holds_stays_and_those_after_it_too() {
    let world = expired().await;
    world.kafka_has(0, 23..24);
    world.kafka_has(1, 24..24);
    assert!(maintain(&world).await.dropped_days.is_empty());
    world.kafka_has(0, 24..24);
    world.kafka_has(1, 23..24);
    assert_eq!(maintain(&world).await.dropped_days, [day(DAY)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_day_is_not_dropped() {
    let mut world = expired().await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    world.kafka_has(0, 25..25);
    world.kafka_has(1, 24..24);
    assert!(maintain(&world).await.dropped_days.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_of_a_dropped_day_among_offsets_of_a_kept_one_leave_the_audit_in_order() {
    let mut world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    let kept = seen("KV1", "2025-04-06T11:00:00Z", 60_000);
    let old = seen("KV1", "2025-04-05T11:00:00Z", 70_000);
    world.process(&[old.clone(), kept.clone(), old.late(), kept]).await;
    world.nightly().await;
    world.context.settings.maintain.event_retention = Some(Duration::from_secs(86_400));
    world.kafka_has(0, 3..4);
    assert_eq!(maintain(&world).await.dropped_days, [day(DAY)]);
    let audited = audit::run(&world.context).await.unwrap();
    assert!(audited.is_ok(), "{audited}");
    assert_eq!(audited.partitions[0].first_offset, Offset(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_between_the_floor_and_the_removal_leaves_the_audit_in_order() {
    let world = expired().await;
    let gap = |partition| OffsetGap {
        kafka_partition: KafkaPartition(partition),
        range: OffsetRange::new(Offset::ZERO, Offset(24)),
        reason: GapReason::Retention,
        noted_at: at("2025-04-20T12:00:00Z"),
    };
    world.note_gaps(&[gap(0), gap(1)]).await;
    assert!(audit::run(&world.context).await.unwrap().is_ok());
    assert!(world.nightly().await.is_complete());
    world.kafka_has(0, 24..24);
    world.kafka_has(1, 24..24);
    let floors = world.version(Table::OffsetGaps).await;
    assert_eq!(maintain(&world).await.dropped_days.len(), 2);
    assert_eq!(world.version(Table::OffsetGaps).await, floors);
    assert!(audit::run(&world.context).await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_files_are_deleted_after_their_retention_and_not_before() {
    let world = world().await;
    world.nightly().await;
    maintain(&world).await;
    assert!(stored(&world, Table::Events).await > 12);
    world.set_clock("2025-04-07T13:00:00Z");
    assert!(maintain(&world).await.deleted.is_empty());
    world.set_clock("2025-04-07T13:00:01Z");
    let deleted: Vec<Table> =
        maintain(&world).await.deleted.iter().map(|(table, ..)| *table).collect();
    assert_eq!(deleted, [Table::Events, Table::AvgSpeed]);
    assert_eq!(stored(&world, Table::Events).await, 2);
    let active = world.log(Table::AvgSpeed).await.state().files().count();
    assert_eq!(stored(&world, Table::AvgSpeed).await, active);
    assert!(audit::run(&world.context).await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_no_log_names_are_deleted_once_they_are_old() {
    let world = world().await;
    let (new, batch) = orphan(&world).await;
    let lake = &world.context.lake;
    data_file::write(lake, Table::AvgSpeed, new, &batch).await.unwrap();
    let before = stored(&world, Table::AvgSpeed).await;
    // The store in memory dates files by the machine's clock, of which it is only sure that it is past this.
    assert!(maintain(&world).await.deleted.iter().all(|(_, files, _)| *files < before));
    world.set_clock("2999-01-01T00:00:00Z");
    maintain(&world).await;
    let active = world.log(Table::AvgSpeed).await.state().files().count();
    assert_eq!(stored(&world, Table::AvgSpeed).await, active);
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_announces_itself_where_a_writer_may_be_about_to_commit_a_file_and_nowhere_else() {
    let world = world().await;
    world.nightly().await;
    maintain(&world).await;
    // Compaction has removed files, which commits have named: nobody is about to commit them.
    world.set_clock("2025-04-07T13:00:01Z");
    let before = versions(&world).await;
    assert!(!maintain(&world).await.deleted.is_empty());
    assert_eq!(versions(&world).await, before);
    let (new, batch) = orphan(&world).await;
    data_file::write(&world.context.lake, Table::AvgSpeed, new, &batch).await.unwrap();
    world.set_clock("2999-01-01T00:00:00Z");
    let dry = run(&world.context, &world.kafka, true, &Shutdown::never()).await.unwrap();
    assert_eq!((dry.deleted.len(), versions(&world).await), (1, before.clone()));
    assert_eq!(maintain(&world).await.deleted.len(), 1);
    let half = i64::try_from(world.context.settings.maintain.orphan_retention.as_micros() / 2);
    let announced = Some(at("2999-01-01T00:00:00Z").saturating_add(-half.unwrap()));
    for (table, before) in Table::ALL.into_iter().zip(before) {
        let log = world.log(table).await;
        let is_announced = table == Table::AvgSpeed;
        let expected = if is_announced { (before.next(), announced) } else { (before, None) };
        assert_eq!((log.state().version(), log.state().vacuumed_before()), expected, "{table}");
    }
    let after = versions(&world).await;
    assert!(maintain(&world).await.deleted.is_empty());
    assert_eq!(versions(&world).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_suspended_until_its_files_are_vacuumed_is_given_up_and_made_by_the_next_run() {
    let world = world().await;
    world.nightly().await;
    let mut events = world.log(Table::Events).await;
    let inputs: Vec<FileEntry> = events.state().files_of(day(DAY)).cloned().collect();
    let mut outputs = Vec::new();
    for input in &inputs {
        outputs.push(super::portable::copy(&world.context, Table::Events, input).await.unwrap());
    }
    let before = rows(&world, DAY).await;
    world.set_clock("2999-01-01T00:00:00Z");
    let mut report = MaintainReport::default();
    super::vacuum::vacuum(&world.context, Table::Events, &mut report).await.unwrap();
    assert_eq!(report.deleted[0].1, inputs.len());
    assert!(!super::rewrite::swap(&mut events, "COMPACT", &inputs, outputs).await.unwrap());
    assert_eq!(rows(&world, DAY).await, before);
    assert!(!maintain(&world).await.rewritten.is_empty());
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
    super::compact::day(&world.context, &mut events, day(DAY), &mut report).await.unwrap();
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
