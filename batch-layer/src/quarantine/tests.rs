//! That a file that can't be used leaves its table, that its offsets stay accounted for, and that nothing else changes.

#![allow(clippy::unwrap_used)]

use lake_delta::Commit;
use lake_delta::log::FileEntry;
use lake_model::finalization::DayDecision;
use lake_model::{DeadLetterReason, KafkaPartition, Offset, OffsetRange, TableVersion};
use lake_tables::dead_letters::{self, DeadLetter};
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

/// Three closed days in partitions 0 and 1, landed together: the offsets of a day's files lie between those of the others.
async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-08T12:00:00Z").await;
    for hour in [10, 12] {
        let at = |day: &str| format!("{day}T{hour}:00:00Z");
        let events = |day: &str| {
            [seen("KV1", &at(day), 60_000 + hour), seen("KV2", &at(day), 50_000).in_partition(1)]
        };
        let events: Vec<_> = (0..4).flat_map(|_| DAYS.iter().flat_map(|day| events(day))).collect();
        world.process(&events).await;
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
async fn a_file_that_reads_well_is_refused_and_is_taken_out_by_force() {
    let world = world().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    let report = quarantine(&world, &file).await;
    assert_eq!(report.refusal, Some(Refusal::Sound));
    assert!(report.to_string().contains("--force"), "{report}");
    assert!(is_named(&world, Table::Events, &file).await);
    let offsets = offsets_of(&world, &file).await;
    assert!(forced(&world, &file).await.is_ok());
    assert_eq!(quarantined(&world).await, offsets);
    assert_in_order(&world).await;
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
async fn two_damaged_files_with_offsets_between_each_others_are_both_accounted_for() {
    let world = world().await;
    let files = [
        world.a_file(Table::Events, day(DAYS[0])).await,
        world.a_file(Table::Events, day(DAYS[1])).await,
    ];
    for file in &files {
        world.damage(Table::Events, file, Damage::Lost).await;
    }
    let first = quarantine(&world, &files[0]).await;
    assert!(first.to_string().contains(&files[1].path), "{first}");
    assert!(quarantine(&world, &files[1]).await.is_ok());
    assert_in_order(&world).await;
    assert!(world.nightly().await.is_complete());
    assert_in_order(&world).await;
}

#[tokio::test]
async fn offsets_that_were_missing_before_are_not_passed_off_as_those_of_the_file() {
    let world = world().await;
    let [file, gone] = [DAYS[1], DAYS[0]].map(day);
    let file = world.a_file(Table::Events, file).await;
    let gone = world.a_file(Table::Events, gone).await;
    let commit = Commit::new(&world.context.lake, "LOSE").remove([gone]);
    world.commit(Table::Events, &commit).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    let report = quarantine(&world, &file).await;
    assert_eq!(report.refusal, Some(Refusal::MoreThanItsRows), "{report}");
    assert!(is_named(&world, Table::Events, &file).await);
    assert_eq!(quarantined(&world).await, []);
}

#[tokio::test]
async fn what_cannot_be_known_of_a_file_without_bounds_is_said_and_counted_by_force_only() {
    let world = world().await;
    let file = world.without_bounds(day(DAYS[1])).await;
    let offsets = offsets_of(&world, &file).await;
    world.damage(Table::Events, &file, Damage::Lost).await;
    let audited = audit::run(&world.context).await.unwrap();
    assert!(audited.partitions.iter().any(|partition| !partition.missing.is_empty()));
    let report = quarantine(&world, &file).await;
    assert_eq!(report.refusal, Some(Refusal::UnknownOffsets));
    assert!(report.to_string().contains("can't be known"), "{report}");
    assert!(forced(&world, &file).await.is_ok());
    assert_eq!(quarantined(&world).await, offsets);
    assert_in_order(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_day_that_loses_its_last_file_keeps_its_rows_and_is_frozen() {
    let mut world = world().await;
    world.nightly().await;
    maintain(&world).await;
    let served = world.served(day(DAYS[1])).await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    assert!(file_kind::is_compacted(&file));
    world.damage(Table::Events, &file, Damage::Torn).await;
    let report = quarantine(&world, &file).await;
    assert!(report.is_last_of_day, "{report}");
    assert_in_order(&world).await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    let days = DayFilter::only(day(DAYS[1]));
    let report = world.nightly_with(NightlyOptions { days, force: true, ..options() }).await;
    assert_eq!(report.planned[0].decision, DayDecision::Frozen);
    assert_eq!(world.served(day(DAYS[1])).await, served);
    assert!(maintain(&world).await.is_complete());
    assert_in_order(&world).await;
}

#[tokio::test]
async fn a_day_that_is_not_final_and_loses_its_last_file_is_made_final_from_what_lands_later() {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    world.process(&[seen("KV1", "2025-04-05T10:00:00Z", 60_000)]).await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Lost).await;
    assert!(quarantine(&world, &file).await.is_ok());
    assert_eq!(world.nightly().await.planned[0].decision, DayDecision::Empty);
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    assert_eq!(world.nightly().await.done[0].rows_read, 1);
    assert_in_order(&world).await;
}

#[tokio::test]
async fn a_file_of_a_day_that_retention_froze_is_taken_out_and_the_day_stays_frozen() {
    let mut world = world().await;
    world.nightly().await;
    let floor = (world.context.app_ids.retention_floor(), i64::from(day(DAYS[1]).plus(1).days()));
    let dropped = world.log(Table::Events).await;
    let dropped: Vec<_> = [DAYS[0], DAYS[1]]
        .iter()
        .flat_map(|of| dropped.state().files_of(day(of)).cloned().collect::<Vec<_>>())
        .collect();
    let gap = |kafka_partition| OffsetGap {
        kafka_partition,
        range: OffsetRange::new(Offset(0), Offset(23)),
        reason: GapReason::Retention,
        noted_at: at("2025-04-08T12:00:00Z"),
    };
    world.note_gaps(&[gap(KafkaPartition(0)), gap(KafkaPartition(1))]).await;
    let commit = Commit::new(&world.context.lake, "DROP DAYS").remove(dropped).txns([floor]);
    world.commit(Table::Events, &commit).await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    assert!(!audit::run(&world.context).await.unwrap().is_ok());
    let report = quarantine(&world, &file).await;
    assert_eq!(
        report.noted.get(&KafkaPartition(0)).unwrap(),
        &[OffsetRange::single(Offset(24))],
        "{report}"
    );
    assert_in_order(&world).await;
    let plan = world.nightly().await.planned;
    let frozen = plan.iter().find(|planned| planned.day == day(DAYS[1])).unwrap();
    assert_eq!(frozen.decision, DayDecision::Frozen);
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

#[tokio::test]
async fn dead_letters_are_quarantined_too() {
    let mut world = world().await;
    let letter = DeadLetter {
        reason: DeadLetterReason::Empty,
        detail: String::new(),
        key: None,
        payload: None,
        kafka_timestamp: at("2025-04-05T10:00:00Z"),
        kafka_partition: KafkaPartition(0),
        kafka_offset: Offset(24),
    };
    let id = world.context.lake.unique_id();
    let new = file_kind::landed(Table::DeadLetters, day(DAYS[1]), KafkaPartition(0), id);
    let file = world.write(Table::DeadLetters, new, &dead_letters::batch([&letter])).await;
    let commit = Commit::new(&world.context.lake, "ADD").add([file]);
    world.commit(Table::DeadLetters, &commit).await;
    let next = (world.context.app_ids.next_offset(KafkaPartition(0)), 25);
    world.commit(Table::Events, &Commit::new(&world.context.lake, "REACH").txns([next])).await;
    world.land(&[seen("KV1", "2025-04-06T11:00:00Z", 70_000)]).await;
    let file = world.a_file(Table::DeadLetters, day(DAYS[1])).await;
    world.damage(Table::DeadLetters, &file, Damage::Torn).await;
    assert!(!audit::run(&world.context).await.unwrap().is_ok());
    let options = quarantine_of(Table::DeadLetters, &file);
    assert!(run(&world.context, &options).await.unwrap().is_ok());
    assert_eq!(quarantined(&world).await, [(KafkaPartition(0), Offset(24))]);
    assert_in_order(&world).await;
}

#[tokio::test]
async fn what_is_no_file_to_be_quarantined_is_a_matter_of_usage_with_what_to_do() {
    let world = world().await;
    world.nightly().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    assert!(quarantine(&world, &file).await.is_ok());
    let averages = world.a_file(Table::AvgSpeed, day(DAYS[1])).await;
    for (named, words) in [
        (format!("events/{}", file.path), "quarantined or rewritten already"),
        (format!("avg_speed/{}", averages.path), "nightly --date 2025-04-05 --force"),
        ("elsewhere/x.parquet".to_owned(), "audit"),
        (String::new(), "audit"),
    ] {
        let options = QuarantineOptions { file: named, dry_run: false, force: false };
        let error: BatchError = run(&world.context, &options).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(world.version(Table::OffsetGaps).await > TableVersion(0));
}
