//! Each thing that an audit proves, broken once.

#![allow(clippy::unwrap_used)]

use lake_delta::{Commit, housekeeping};
use lake_model::{KafkaPartition, Offset, OffsetRange, Summary, WindowSize};
use lake_tables::Table;
use lake_tables::offset_gaps::{GapReason, OffsetGap};
use lake_tables::txn::{AcceptedTruncation, CutBelowLanded, WatermarkReset};

use super::report::DayStatus;
use super::{AuditReport, run};
use crate::test_support::{Damage, World, at, day, seen};

mod moved;

const DAY: &str = "2025-04-05";

async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    let events = [
        seen("KV1", "2025-04-05T10:00:00Z", 60_000),
        seen("KV1", "2025-04-05T10:00:00Z", 60_000),
        seen("KV2", "2025-04-05T12:00:00Z", 50_000).in_partition(1),
    ];
    // Two instances land them.
    world.process(&events[..2]).await;
    world.process(&events[2..]).await;
    world
}

async fn audit(world: &World) -> AuditReport {
    run(&world.context).await.unwrap()
}

fn assert_reported(report: &AuditReport, parts: &[&str]) {
    let mut problems = report.problems.iter();
    let is_reported = problems.any(|problem| parts.iter().all(|part| problem.contains(part)));
    assert!(is_reported && !report.is_ok(), "{parts:?} is not among {:?}", report.problems);
}

/// Moves a partition's next offset in `events` without rows.
async fn reach(world: &World, partition: i32, next: i64) {
    let txn = (world.context.app_ids.next_offset(KafkaPartition(partition)), next);
    let commit = Commit::new(&world.context.lake, "REACH").txns([txn]);
    world.commit(Table::Events, &commit).await;
}

/// Adds a row with an offset of choice.
async fn add_row(world: &World, partition: i32, offset: i64) {
    let (partition, offset) = (KafkaPartition(partition), Offset(offset));
    let file = world.event_file(day(DAY), at("2025-04-05T15:00:00Z"), partition, offset).await;
    let commit = Commit::new(&world.context.lake, "ADD").add([file]);
    world.commit(Table::Events, &commit).await;
}

async fn add_dead_letter(world: &World, partition: i32, offset: i64) {
    world.add_dead_letter(day(DAY), partition, offset).await;
}

fn gap(partition: i32, first: i64, next: i64, reason: GapReason) -> OffsetGap {
    OffsetGap {
        kafka_partition: KafkaPartition(partition),
        range: OffsetRange::new(Offset(first), Offset(next)),
        reason,
        noted_at: at("2025-04-05T10:00:00Z"),
    }
}

#[tokio::test]
async fn a_lake_in_order_passes_before_and_after_its_day_is_final() {
    let world = world().await;
    assert!(audit(&world).await.is_ok());
    world.nightly().await;
    add_dead_letter(&world, 0, 2).await;
    world.note_gaps(&[gap(0, 3, 10, GapReason::NotDelivered)]).await;
    reach(&world, 0, 10).await;
    let report = audit(&world).await;
    assert!(report.is_ok(), "{report}");
    let partition = &report.partitions[0];
    assert_eq!((partition.events, partition.dead_letters, partition.gap_offsets), (2, 1, 7));
    let audited = &report.days[0];
    assert_eq!((audited.status, audited.event_rows), (DayStatus::Clean, 3));
    assert_eq!((audited.distinct_events, audited.counts["24h"]), (Some(2), 2));
    assert_eq!(report.json()["ok"], true);
}

#[tokio::test]
async fn an_offset_that_is_nowhere_is_found() {
    let world = world().await;
    reach(&world, 0, 4).await;
    add_dead_letter(&world, 0, 3).await;
    assert_reported(&audit(&world).await, &["partition 0", "[2, 3)", "missing"]);
}

#[tokio::test]
async fn an_offset_that_two_rows_have_is_found() {
    let world = world().await;
    add_row(&world, 1, 0).await;
    assert_reported(&audit(&world).await, &["partition 1", "[0, 1)", "more than once"]);
}

#[tokio::test]
async fn an_offset_that_is_a_row_and_in_a_gap_is_found() {
    let world = world().await;
    world.note_gaps(&[gap(0, 1, 2, GapReason::NotDelivered)]).await;
    assert_reported(&audit(&world).await, &["partition 0", "[1, 2)", "more than once"]);
}

#[tokio::test]
async fn a_row_beyond_the_next_offset_is_found() {
    let world = world().await;
    add_row(&world, 1, 5).await;
    assert_reported(&audit(&world).await, &["partition 1", "beyond the next offset"]);
}

#[tokio::test]
async fn what_is_landed_ahead_of_events_is_passed_over() {
    let world = world().await;
    add_dead_letter(&world, 0, 2).await;
    world.note_gaps(&[gap(1, 1, 9, GapReason::NotDelivered)]).await;
    add_dead_letter(&world, 7, 0).await;
    let report = audit(&world).await;
    assert!(report.is_ok(), "{report}");
}

#[tokio::test]
async fn what_lies_below_the_retention_floor_is_passed_over() {
    let world = world().await;
    world.note_gaps(&[gap(0, 0, 2, GapReason::Retention)]).await;
    reach(&world, 0, 3).await;
    add_dead_letter(&world, 0, 2).await;
    let report = audit(&world).await;
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.partitions[0].first_offset, Offset(2));
}

#[tokio::test]
async fn a_wrong_count_of_a_final_day_is_found() {
    let world = world().await;
    world.nightly().await;
    let change = |rows: &mut Vec<lake_tables::avg_speed::AvgSpeedRow>| {
        let s = rows[0].summary;
        let (sum, over) = (s.sum_thousandths(), s.over_limit());
        rows[0].summary = Summary::from_parts(s.count() + 1, sum, s.min(), s.max(), over);
    };
    world.tamper(day(DAY), WindowSize::OneHour, change).await;
    assert_reported(
        &audit(&world).await,
        &[DAY, "camera KV1", "1h window", "2 events", "1 events"],
    );
}

#[tokio::test]
async fn a_window_that_is_gone_or_made_up_is_found() {
    let world = world().await;
    world.nightly().await;
    world.tamper(day(DAY), WindowSize::OneHour, |rows| drop(rows.remove(0))).await;
    assert_reported(&audit(&world).await, &["camera KV1", "avg_speed says nothing"]);
    world.tamper(day(DAY), WindowSize::Day, |rows| rows[0].camera_id = "KV0".into()).await;
    assert_reported(&audit(&world).await, &["camera KV0", "events say nothing"]);
}

#[tokio::test]
async fn a_dirty_day_is_no_failure() {
    let mut world = world().await;
    world.nightly().await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    let report = audit(&world).await;
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.days[0].status, DayStatus::Dirty);
}

#[tokio::test]
async fn a_final_day_whose_events_are_gone_is_found() {
    let world = world().await;
    world.nightly().await;
    let log = world.log(Table::Events).await;
    let files: Vec<_> = log.state().files().cloned().collect();
    let commit = Commit::new(&world.context.lake, "LOSE").remove(files);
    world.commit(Table::Events, &commit).await;
    assert_reported(&audit(&world).await, &[DAY, "its events are gone"]);
}

#[tokio::test]
async fn resets_of_watermarks_are_told_when_only_a_checkpoint_holds_them() {
    let world = world().await;
    let (from, to, requested_at) =
        (at("2031-01-01T00:00:00Z"), at("2025-04-05T10:00:00Z"), at("2025-04-06T11:00:00Z"));
    let (partition, offset) = (KafkaPartition(1), Offset(1));
    let reset = WatermarkReset { partition, offset, from, to, requested_at };
    let txns = world.context.app_ids.record_reset(1, &reset);
    world.commit(Table::Events, &Commit::new(&world.context.lake, "RESET").txns(txns)).await;
    housekeeping::checkpoint(&world.context.lake, Table::Events).await.unwrap();
    world.drop_log_entries(Table::Events).await;
    let report = audit(&world).await;
    assert!(report.is_ok(), "{report}");
    assert_eq!(
        report.json()["watermark_resets"],
        serde_json::json!([{
            "partition": 1, "offset": 1, "from": "2031-01-01T00:00:00Z",
            "to": "2025-04-05T10:00:00Z", "requested_at": "2025-04-06T11:00:00Z",
        }])
    );
    assert!(report.to_string().contains("partition 1: watermark reset at offset 1 from 2031-"));
}

#[tokio::test]
async fn cuts_of_kafkas_log_that_were_accepted_are_reported() {
    let world = world().await;
    let (partition, position) = (KafkaPartition(1), Offset(3));
    let accepted_at = at("2025-04-06T11:00:00Z");
    let (end, covered_to) = (Some(Offset(1)), Offset(5));
    let averaged_to = position;
    let cut = CutBelowLanded { partition, end, position, covered_to, averaged_to };
    let accepted = AcceptedTruncation { cut, accepted_at };
    let txns = world.context.app_ids.record_truncation(1, &accepted);
    world.commit(Table::Events, &Commit::new(&world.context.lake, "ACCEPT").txns(txns)).await;
    let report = audit(&world).await;
    assert!(report.is_ok(), "{report}");
    assert_eq!(
        report.json()["accepted_truncations"],
        serde_json::json!([{
            "partition": 1, "end": 1, "position": 3, "covered_to": 5, "accepted_at": "2025-04-06T11:00:00Z",
        }])
    );
    let line = "partition 1: Kafka's log was cut at 1, below what was landed; accepted at offset 3, with dead letters and gaps up to 5";
    assert!(report.to_string().contains(line), "{report}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_found_with_its_offsets_and_everything_else_is_checked() {
    for damage in [Damage::Torn, Damage::Lost, Damage::Overwritten] {
        let mut world = world().await;
        world.process(&[seen("KV1", "2025-04-04T10:00:00Z", 60_000)]).await;
        world.nightly().await;
        let file = world.a_file(Table::Events, day(DAY)).await;
        world.damage(Table::Events, &file, damage).await;
        let report = audit(&world).await;
        assert_reported(&report, &[&file.path, "offsets in [0, 2) of partition 0", "quarantine"]);
        assert_eq!(report.problems.len(), 1, "{report}");
        let status: Vec<_> = report.days.iter().map(|audited| audited.status).collect();
        assert_eq!(status, [DayStatus::Clean, DayStatus::Unreadable], "{damage:?}");
        let json = report.json();
        assert_eq!(json["unreadable_files"][0]["file"], format!("events/{}", file.path));
        assert_eq!(json["unreadable_files"][0]["offsets"]["next_offset"], 2);
        assert_eq!(json["partitions"][0]["unreadable"], serde_json::json!([[0, 2]]));
        assert_eq!(json["partitions"][0]["missing"], serde_json::json!([]));
    }
}

#[tokio::test]
async fn an_offset_that_is_nowhere_is_found_beside_a_file_that_cannot_be_used() {
    let world = world().await;
    let file = world.a_file(Table::Events, day(DAY)).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    reach(&world, 0, 4).await;
    let report = audit(&world).await;
    assert_reported(&report, &["partition 0", "[2, 4)", "missing"]);
    assert_eq!(report.problems.len(), 2, "{report}");
}

#[tokio::test]
async fn averages_and_gaps_that_cannot_be_read_are_found() {
    let world = world().await;
    world.nightly().await;
    world.note_gaps(&[gap(0, 2, 3, GapReason::NotDelivered)]).await;
    reach(&world, 0, 3).await;
    let averages = world.a_file(Table::AvgSpeed, day(DAY)).await;
    world.damage(Table::AvgSpeed, &averages, Damage::Lost).await;
    let log = world.log(Table::OffsetGaps).await;
    let gaps = log.state().files().next().unwrap().clone();
    world.damage(Table::OffsetGaps, &gaps, Damage::Torn).await;
    let report = audit(&world).await;
    assert_reported(&report, &[&averages.path, "nightly --date 2025-04-05 --force"]);
    assert_reported(&report, &[&gaps.path]);
    assert_reported(&report, &["[2, 3)", "missing"]);
}
