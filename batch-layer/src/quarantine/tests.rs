//! That a file that can't be used leaves its table, that its offsets stay accounted for, and that nothing else changes.

#![allow(clippy::unwrap_used)]

mod damaged_together;
mod days;
mod dead_letters;
mod refusals;

use lake_delta::Commit;
use lake_delta::log::FileEntry;
use lake_model::finalization::DayDecision;
use lake_model::{KafkaPartition, Offset, OffsetRange, TableVersion};
use lake_tables::offset_gaps::{self, GapReason, OffsetGap};
use lake_tables::{Table, file_kind};
use lake_testing::stores::{FailingFrom, Failure};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Kept, QuarantineOptions, QuarantineReport, Refusal, run};
use crate::maintain::MaintainReport;
use crate::nightly::{DayFilter, NightlyOptions};
use crate::test_support::{Damage, World, at, day, options, seen};
use crate::{BatchError, Shutdown, audit, maintain};

const DAYS: [&str; 3] = ["2025-04-04", "2025-04-05", "2025-04-06"];

/// Three closed days in partitions 0 and 1, which two instances land: the offsets of a day's files lie between those of the others.
async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-08T12:00:00Z").await;
    for hour in [10, 12] {
        let at = |day: &str| format!("{day}T{hour}:00:00Z");
        let all = || (0..4).flat_map(|_| DAYS);
        let first: Vec<_> = all().map(|day| seen("KV1", &at(day), 60_000 + hour)).collect();
        world.process(&first).await;
        let second = all().map(|day| seen("KV2", &at(day), 50_000).in_partition(1));
        world.process(&second.collect::<Vec<_>>()).await;
    }
    world
}

fn quarantine_of(table: Table, file: &FileEntry) -> QuarantineOptions {
    QuarantineOptions { file: format!("{table}/{}", file.path), dry_run: false, force: false }
}

async fn quarantine(world: &World, file: &FileEntry) -> QuarantineReport {
    run(&world.context, &quarantine_of(Table::Events, file)).await.unwrap()
}

async fn forced(world: &World, file: &FileEntry) -> QuarantineReport {
    let options = QuarantineOptions { force: true, ..quarantine_of(Table::Events, file) };
    run(&world.context, &options).await.unwrap()
}

async fn maintain(world: &World) -> MaintainReport {
    maintain::run(&world.context, &world.kafka, false, &Shutdown::never()).await.unwrap()
}

async fn assert_in_order(world: &World) {
    let audited = audit::run(&world.context).await.unwrap();
    assert!(audited.is_ok(), "{audited}");
}

/// The quarantined offsets by partition, in order.
async fn quarantined(world: &World) -> Vec<(KafkaPartition, Offset)> {
    let log = world.log(Table::OffsetGaps).await;
    let rows = |batch: &arrow::array::RecordBatch| {
        let reasons = lake_delta::columns::string(batch, "reason")?;
        assert!(reasons.iter().all(|reason| reason == Some("quarantined")));
        offset_gaps::ranges(batch)
    };
    let lake = &world.context.lake;
    let files = log.state().files();
    let ranges =
        lake_delta::read::collect(lake, Table::OffsetGaps, files, &[], rows).await.unwrap();
    let each = |(partition, range): &(KafkaPartition, OffsetRange)| {
        range.offsets().map(|offset| (*partition, offset)).collect::<Vec<_>>()
    };
    let mut offsets: Vec<_> = ranges.iter().flat_map(each).collect();
    offsets.sort_unstable();
    offsets
}

async fn offsets_of(world: &World, file: &FileEntry) -> Vec<(KafkaPartition, Offset)> {
    let lake = &world.context.lake;
    let offsets = lake_tables::offsets;
    let read = lake_delta::read::collect(lake, Table::Events, [file], &[], offsets);
    let mut offsets = read.await.unwrap();
    offsets.sort_unstable();
    offsets
}

async fn is_named(world: &World, table: Table, file: &FileEntry) -> bool {
    world.log(table).await.state().file(&file.path).is_some()
}

#[tokio::test]
async fn exactly_the_offsets_of_the_file_are_noted_and_its_day_is_computed_without_it() {
    for damage in [Damage::Torn, Damage::Lost, Damage::Overwritten] {
        let world = world().await;
        world.nightly().await;
        let file = world.a_file(Table::Events, day(DAYS[1])).await;
        let offsets = offsets_of(&world, &file).await;
        world.damage(Table::Events, &file, damage).await;
        let report = quarantine(&world, &file).await;
        assert!(report.is_ok() && report.removed_in.is_some(), "{damage:?}: {report}");
        assert_eq!(quarantined(&world).await, offsets, "{report}");
        assert!(!is_named(&world, Table::Events, &file).await);
        assert_in_order(&world).await;
        let again = world.nightly().await;
        assert_eq!(again.done.iter().map(|run| run.day()).collect::<Vec<_>>(), [day(DAYS[1])]);
        assert_eq!(again.done[0].rows_read, 16 - i64::try_from(offsets.len()).unwrap());
        assert!(world.nightly().await.done.is_empty());
        assert_in_order(&world).await;
    }
}

#[tokio::test]
async fn a_dry_run_tells_the_offsets_and_changes_nothing() {
    let world = world().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    let before = (world.version(Table::Events).await, world.version(Table::OffsetGaps).await);
    let dry = QuarantineOptions { dry_run: true, ..quarantine_of(Table::Events, &file) };
    let report = run(&world.context, &dry).await.unwrap();
    assert_eq!(report.offsets.values().flatten().map(OffsetRange::len).sum::<i64>(), 4, "{report}");
    assert!(report.to_string().contains("dry run: nothing was changed"), "{report}");
    let after = (world.version(Table::Events).await, world.version(Table::OffsetGaps).await);
    assert_eq!((after, report.kept), (before, Kept::NotTried));
}

#[tokio::test]
async fn a_run_killed_anywhere_uncovers_no_offset_and_is_completed_by_the_next() {
    let mut kills = 0;
    for failure in [Failure::Hang, Failure::HangAfterEffect] {
        for operation in 1.. {
            let mut world = world().await;
            let file = world.a_file(Table::Events, day(DAYS[1])).await;
            let offsets = offsets_of(&world, &file).await;
            world.damage(Table::Events, &file, Damage::Torn).await;
            let sound = world.context.lake.clone();
            let mut store = None;
            world.decorate(|behind| {
                store.insert(FailingFrom::on(behind, failure, operation)).clone()
            });
            let store = store.unwrap();
            let options = quarantine_of(Table::Events, &file);
            let was_killed = tokio::select! {
                biased;
                report = run(&world.context, &options) => { report.unwrap(); false }
                () = store.struck() => true,
            };
            world.context.lake = sound;
            let audited = audit::run(&world.context).await.unwrap();
            let nothing: &[[Offset; 2]] = &[];
            assert!(
                audited.partitions.iter().all(|p| p.missing == nothing && p.repeated == nothing)
            );
            if is_named(&world, Table::Events, &file).await {
                assert!(!audited.is_ok());
                quarantine(&world, &file).await;
            }
            assert_eq!(quarantined(&world).await, offsets, "{failure:?} at {operation}");
            assert_in_order(&world).await;
            if !was_killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 20, "{kills}");
}

#[tokio::test]
async fn a_file_with_a_row_outside_its_day_is_taken_out_without_force() {
    let world = world().await;
    let stray = world.land_as_of(day(DAYS[1]), at("2025-04-06T00:00:00Z"), 0).await;
    assert_eq!(world.nightly().await.left.len(), 1);
    let report = quarantine(&world, &stray).await;
    assert!(report.is_ok() && report.offsets_are_read, "{report}");
    assert!(world.nightly().await.is_complete());
    assert_in_order(&world).await;
}

#[tokio::test]
async fn offsets_that_others_hold_are_not_noted_again() {
    let world = world().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    let mut offsets = offsets_of(&world, &file).await;
    let (partition, offset) = offsets.remove(1);
    let noted = OffsetGap {
        kafka_partition: partition,
        range: OffsetRange::single(offset),
        reason: GapReason::Quarantined,
        noted_at: at("2025-04-08T12:00:00Z"),
    };
    world.note_gaps(&[noted]).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    let report = quarantine(&world, &file).await;
    assert_eq!(report.noted.values().flatten().map(OffsetRange::len).sum::<i64>(), 3, "{report}");
    assert_in_order(&world).await;
}

#[tokio::test]
async fn the_object_is_kept_where_vacuum_does_not_look() {
    let world = world().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    let torn = world.bytes_of(Table::Events, &file).await;
    let report = quarantine(&world, &file).await;
    let copy = format!("_quarantine/{}", file.path);
    assert_eq!(report.kept, Kept::At(format!("events/{copy}")));
    world.set_clock("2999-01-01T00:00:00Z");
    maintain(&world).await;
    let store = world.context.lake.table_store(Table::Events);
    assert!(store.head(&Path::parse(&file.path).unwrap()).await.is_err());
    let kept = store.get(&Path::parse(&copy).unwrap()).await.unwrap().bytes().await.unwrap();
    assert_eq!(kept, torn);
}
