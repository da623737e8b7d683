//! Which days a run recomputes, and when.

use lake_delta::Commit;
use lake_model::finalization::DayDecision;
use lake_model::{KafkaPartition, Offset, TableVersion};
use lake_tables::Table;
use lake_tables::txn::{AcceptedTruncation, CutBelowLanded};

use super::super::{DayFilter, NightlyOptions};
use crate::nightly;
use crate::test_support::{FixedEnds, NobodyAsks, World, at, day, options, seen};
use crate::{BatchError, Shutdown};

const DAY: &str = "2025-04-05";

async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    let events = [
        seen("KV1", "2025-04-05T10:00:00Z", 60_000),
        seen("KV1", "2025-04-05T10:01:00Z", 80_000),
        seen("KV2", "2025-04-05T23:59:59Z", 50_000),
    ];
    world.process(&events).await;
    world
}

async fn versions(world: &World) -> Vec<TableVersion> {
    let mut versions = Vec::new();
    for table in Table::ALL {
        versions.push(world.version(table).await);
    }
    versions
}

#[tokio::test]
async fn a_day_is_made_final_from_exactly_close_after_its_end() {
    let world = world().await;
    let closes = at("2025-04-06T04:00:00Z");
    world.set_clock_after(closes, -1);
    let report = world.nightly_with(NightlyOptions { force: true, ..options() }).await;
    assert!(report.done.is_empty());
    assert_eq!(report.planned[0].decision, DayDecision::Open { closes_at: closes });
    world.set_clock_after(closes, 0);
    assert_eq!(world.nightly().await.done.len(), 1);
}

#[tokio::test]
async fn a_second_run_commits_nothing_and_asks_nobody() {
    let world = world().await;
    let first = world.nightly().await;
    assert_eq!((first.done.len(), first.is_complete()), (1, true));
    let before = versions(&world).await;
    let second =
        nightly::run(&world.context, &NobodyAsks, &options(), &Shutdown::never()).await.unwrap();
    assert_eq!(second.planned[0].decision, DayDecision::Clean);
    assert_eq!(versions(&world).await, before);
}

#[tokio::test]
async fn a_late_event_after_final_makes_exactly_that_day_run_again() {
    let mut world = world().await;
    world.process(&[seen("KV1", "2025-04-04T10:00:00Z", 70_000)]).await;
    assert_eq!(world.nightly().await.done.len(), 2);
    world.land(&[seen("KV1", "2025-04-05T10:02:00Z", 100_000).late()]).await;
    let again = world.nightly().await;
    assert_eq!(again.done.len(), 1);
    let run = &again.done[0];
    assert_eq!((run.day(), run.rows_read, run.late_rows), (day(DAY), 4, 1));
    // 5m, 1h and 24h of KV1.
    assert_eq!((run.drift_windows, run.drift_max_kmh), (3, 10.0));
    assert!(world.nightly().await.done.is_empty());
}

#[tokio::test]
async fn a_day_of_late_events_only_is_made_final_too() {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    world.land(&[seen("KV1", "2025-04-05T10:00:00Z", 60_000).late()]).await;
    let run = world.nightly().await.done.remove(0);
    assert_eq!((run.rows_read, run.late_rows, run.rows_written, run.drift_windows), (1, 1, 3, 3));
    assert_eq!(world.served(day(DAY)).await.len(), 3);
}

#[tokio::test]
async fn only_the_days_asked_for_are_recomputed() {
    let mut world = world().await;
    world.process(&[seen("KV1", "2025-04-04T10:00:00Z", 70_000)]).await;
    let only = DayFilter::only(day("2025-04-04"));
    let report = world.nightly_with(NightlyOptions { days: only, ..options() }).await;
    assert_eq!(report.done.iter().map(|run| run.day()).collect::<Vec<_>>(), [day("2025-04-04")]);
    let from = DayFilter { from: Some(day(DAY)), to: None };
    let report = world.nightly_with(NightlyOptions { days: from, ..options() }).await;
    assert_eq!(report.done.iter().map(|run| run.day()).collect::<Vec<_>>(), [day(DAY)]);
}

#[tokio::test]
async fn an_open_day_that_is_asked_for_is_left_and_told_when_it_closes_in_the_pipelines_zone() {
    let mut world = World::new("Europe/Moscow", "2025-04-05T22:00:00Z").await;
    world.process(&[seen("KV1", "2025-04-05T10:00:00Z", 60_000)]).await;
    for asked in [DAY, "2025-04-06", "2030-01-01"] {
        let days = DayFilter::only(day(asked));
        let report = world.nightly_with(NightlyOptions { days, ..options() }).await;
        assert!(!report.is_complete() && report.done.is_empty(), "{report}");
        let [left] = &*report.left else { panic!("{report}") };
        assert_eq!(left.day, day(asked));
        assert!(left.reason.contains("the day is open: it closes at "), "{report}");
        assert!(left.reason.contains("T04:00:00+03:00 (Europe/Moscow)"), "{report}");
    }
    // Nobody asked for that one.
    assert!(world.nightly().await.is_complete());
    // Yesterday is the pipeline's.
    assert_eq!(world.context.yesterday().unwrap(), day(DAY));
    world.set_clock("2025-04-05T20:59:59Z");
    assert_eq!(world.context.yesterday().unwrap(), day("2025-04-04"));
    world.set_clock("2025-04-06T01:00:00Z");
    let days = DayFilter::only(day(DAY));
    let report = world.nightly_with(NightlyOptions { days, ..options() }).await;
    assert_eq!((report.done.len(), report.is_complete()), (1, true));
    let empty = NightlyOptions { days: DayFilter::only(day("2025-04-01")), ..options() };
    assert!(world.nightly_with(empty).await.is_complete(), "a closed day without events is done");
}

#[tokio::test]
async fn a_clean_day_is_recomputed_by_force_only() {
    let world = world().await;
    world.nightly().await;
    let forced = world.nightly_with(NightlyOptions { force: true, ..options() }).await;
    assert_eq!(forced.done.len(), 1);
    assert_eq!((forced.done[0].drift_windows, forced.done[0].drift_max_kmh), (0, 0.0));
    assert_eq!(world.runs().await.len(), 2);
    assert!(world.nightly().await.done.is_empty());
}

#[tokio::test]
async fn a_dry_run_tells_the_plan_and_changes_nothing() {
    let world = world().await;
    let before = versions(&world).await;
    let dry = NightlyOptions { dry_run: true, ..options() };
    let report = nightly::run(&world.context, &NobodyAsks, &dry, &Shutdown::never()).await.unwrap();
    assert!(report.to_string().contains("2025-04-05  recompute  not final, 3 rows"), "{report}");
    assert_eq!(versions(&world).await, before);
}

#[tokio::test]
async fn records_that_have_not_landed_leave_the_day_and_are_named() {
    let world = world().await;
    world.kafka_reaches(0, 5);
    world.kafka_reaches(1, 0);
    let report = world.nightly().await;
    assert!(report.done.is_empty() && !report.is_complete());
    let reason = &report.left[0].reason;
    assert!(reason.contains("partition 0 has landed up to offset 3 of 5"), "{reason}");
    assert!(!reason.contains("partition 1"), "{reason}");
}

#[tokio::test]
async fn provisional_rows_ahead_of_events_leave_the_day_until_their_events_have_landed() {
    let mut world = world().await;
    let newer = [seen("KV1", "2025-04-05T11:00:00Z", 90_000)];
    world.average(&newer).await;
    let report = world.nightly().await;
    let reason = &report.left[0].reason;
    assert!(reason.contains("partition 0 has landed up to offset 3 of 4"), "{reason}");
    world.land(&newer).await;
    assert_eq!(world.nightly().await.done[0].rows_read, 4);
}

#[tokio::test]
async fn provisional_rows_of_records_that_were_cut_off_do_not_hold_their_day_back() {
    let mut world = world().await;
    let (partition, position, end) = (KafkaPartition(0), Offset(3), Some(Offset(2)));
    world.average(&[seen("KV1", "2025-04-05T11:00:00Z", 90_000)]).await;
    let (covered_to, averaged_to) = (position, Offset(4));
    let cut = CutBelowLanded { partition, end, position, covered_to, averaged_to };
    let accepted = AcceptedTruncation { cut, accepted_at: at("2025-04-06T11:00:00Z") };
    let txns = world.context.app_ids.record_truncation(1, &accepted);
    world.commit(Table::Events, &Commit::new(&world.context.lake, "ACCEPT").txns(txns)).await;
    assert_eq!(world.nightly().await.done[0].rows_read, 3);
    // Those of the log after the cut do.
    world.process(&[seen("KV1", "2025-04-04T11:00:00Z", 90_000)]).await;
    world.average(&[seen("KV1", "2025-04-04T11:01:00Z", 90_000)]).await;
    let report = world.nightly().await;
    assert!(report.done.is_empty(), "{report}");
}

#[tokio::test]
async fn provisional_rows_of_other_days_do_not_hold_a_day_back() {
    let mut world = world().await;
    let today = [seen("KV1", "2025-04-06T11:00:00Z", 90_000).in_partition(1)];
    world.average(&today).await;
    assert_eq!(world.nightly().await.done.len(), 1);
}

#[tokio::test]
async fn a_frozen_day_is_never_recomputed() {
    let mut world = world().await;
    world.nightly().await;
    let floor = (world.context.app_ids.retention_floor(), i64::from(day(DAY).plus(1).days()));
    let commit = Commit::new(&world.context.lake, "DROP DAYS").txns([floor]);
    world.commit(Table::Events, &commit).await;
    world.land(&[seen("KV1", "2025-04-05T10:02:00Z", 100_000).late()]).await;
    let report = world.nightly_with(NightlyOptions { force: true, ..options() }).await;
    assert_eq!(report.planned[0].decision, DayDecision::Frozen);
    assert!(report.done.is_empty() && report.is_complete());
}

#[tokio::test]
async fn a_request_to_stop_leaves_the_days_that_are_not_begun() {
    let world = world().await;
    let stop = Shutdown::on(std::future::ready(()));
    let report = nightly::run(&world.context, &world.kafka, &options(), &stop).await.unwrap();
    assert_eq!((report.done.len(), report.left.len()), (0, 1));
    assert_eq!(world.version(Table::BatchRuns).await, TableVersion(0));
}

#[tokio::test]
async fn settings_of_another_pipeline_are_refused_with_both_values() {
    let world = world().await;
    let mut context = world.context.clone();
    context.settings.pipeline.timezone = "Europe/Moscow".to_owned();
    let error = nightly::run(&context, &FixedEnds::default(), &options(), &Shutdown::never()).await;
    let error = error.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    for part in ["pipeline.timezone", "Europe/Moscow", "\"UTC\""] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_lake_without_tables_is_a_matter_of_configuration() {
    let world = world().await;
    let empty = lake_testing::lake_in_memory();
    let context = crate::Context::new(world.context.settings.clone(), empty).unwrap();
    let error = nightly::run(&context, &NobodyAsks, &options(), &Shutdown::never()).await;
    assert_eq!(error.map(|_| ()).map_err(|error: BatchError| error.exit_code()), Err(2));
}
