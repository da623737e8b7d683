//! That the recomputation agrees with the batch where it should, and nowhere else.

#![allow(clippy::unwrap_used)]

use lake_config::Settings;
use lake_model::{KafkaPartition, Speed, Summary, TableVersion, Timestamp, WindowSize};
use lake_tables::Table;
use lake_tables::avg_speed::AvgSpeedRow;

use super::{Verdict, VerifyReport, run};
use crate::test_support::{Aftermath, Damage, MINUTE_US, Seen, World, day, seen};

const DAY: &str = "2025-10-26";

/// A day of 25 hours with repeats, plates, late events and limits, in ranges of a few cameras.
async fn world() -> World {
    let mut settings = Settings::default();
    settings.pipeline.timezone = "Europe/Berlin".to_owned();
    settings.batch.max_rows_in_memory = 150;
    settings.speed_limits.cameras.insert("KV1".to_owned(), 60.0);
    let mut world = World::with_settings(settings, "2025-10-28T12:00:00Z").await;
    let start = world.days().await.span(day(DAY)).start;
    let event = |index: u32| Seen {
        partition: KafkaPartition(i32::try_from(index % 2).unwrap()),
        camera: format!("KV{}", index % 5),
        time: start.saturating_add(i64::from(index * index % 1500) * MINUTE_US),
        thousandths: 40_000 + index * 7919 % 60_000,
        plate: [None, Some(""), Some("A")][index as usize % 3].map(str::to_owned),
        late: index.is_multiple_of(11),
    };
    let events: Vec<Seen> = (0..400).chain(0..40).map(event).collect();
    world.process(&events).await;
    world
}

async fn verify(world: &World) -> VerifyReport {
    run(&world.context, day(DAY)).await.unwrap()
}

#[tokio::test]
async fn a_final_day_is_equal_to_the_bit_and_its_drift_is_text() {
    let world = world().await;
    let done = world.nightly().await.done.remove(0);
    let report = verify(&world).await;
    assert_eq!(report.verdict, Verdict::Equal, "{report}");
    assert_eq!(report.compared, done.rows_written.unsigned_abs());
    assert!(done.duplicates_dropped >= 40 && done.drift_windows > 0);
    let text = report.to_string();
    assert!(text.contains("drift, provisional to final"), "{text}");
    assert!(text.contains(&format!("{} windows changed", done.drift_windows)), "{text}");
}

#[tokio::test]
async fn a_tampered_figure_is_found_whichever_it_is() {
    type Change = fn(&mut AvgSpeedRow);
    let changes: [Change; 7] = [
        |row| row.quantiles.p50 = Speed::from_thousandths(1),
        |row| row.quantiles.p95 = Speed::from_thousandths(1),
        |row| row.window.end = Timestamp::from_micros(row.window.end.micros() + 1),
        |row| row.events_version = Some(TableVersion(99)),
        |row| row.kafka_partition = Some(KafkaPartition(0)),
        |row| {
            let s = row.summary;
            let sum = s.sum_thousandths() + 1;
            row.summary = Summary::from_parts(s.count(), sum, s.min(), s.max(), s.over_limit());
        },
        |row| {
            let s = row.summary;
            let over = s.over_limit().map_or(Some(0), |_| None);
            let sum = s.sum_thousandths();
            row.summary = Summary::from_parts(s.count(), sum, s.min(), s.max(), over);
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let world = world().await;
        world.nightly().await;
        world.tamper(day(DAY), WindowSize::OneHour, |rows| change(&mut rows[3])).await;
        let report = verify(&world).await;
        assert_eq!((report.verdict, report.differences), (Verdict::Different, 1), "change {at}");
        assert!(report.to_string().contains("1h window"), "{report}");
    }
}

#[tokio::test]
async fn rows_that_are_gone_or_there_twice_are_found() {
    let world = world().await;
    world.nightly().await;
    world.tamper(day(DAY), WindowSize::FiveMinutes, |rows| drop(rows.remove(7))).await;
    world.tamper(day(DAY), WindowSize::Day, |rows| rows.push(rows[0].clone())).await;
    let report = verify(&world).await;
    assert_eq!((report.verdict, report.differences), (Verdict::Different, 2), "{report}");
}

#[tokio::test]
async fn a_day_that_is_not_final_or_dirty_can_not_be_verified() {
    let mut world = world().await;
    assert_eq!(verify(&world).await.verdict, Verdict::NotFinal);
    world.nightly().await;
    world.land(&[seen("KV1", "2025-10-26T11:00:00Z", 70_000).late()]).await;
    let report = verify(&world).await;
    assert!(!report.is_ok());
    let dirty = Verdict::Dirty { event_rows: 441, rows_read: Some(440) };
    assert_eq!(report.verdict, dirty);
    assert!(report.to_string().contains("dirty"), "{report}");
}

#[tokio::test]
async fn limits_that_changed_since_are_a_difference() {
    let mut world = world().await;
    world.nightly().await;
    world.context.settings.speed_limits.cameras.clear();
    let report = verify(&world).await;
    assert_eq!(report.verdict, Verdict::Different);
    assert!(report.to_string().contains("--force"), "{report}");
}

#[tokio::test]
async fn a_day_with_a_file_that_cannot_be_used_is_not_verified_and_the_reason_is_said() {
    for table in [Table::Events, Table::AvgSpeed] {
        for damage in [Damage::Torn, Damage::Lost, Damage::Overwritten] {
            let world = world().await;
            world.nightly().await;
            let file = world.a_file(table, day(DAY)).await;
            world.damage(table, &file, damage).await;
            let report = verify(&world).await;
            assert_eq!(report.verdict, Verdict::Unreadable, "{damage:?}");
            assert!(!report.is_ok() && report.to_string().contains(&file.path), "{report}");
        }
    }
}

#[tokio::test]
async fn a_row_outside_its_day_is_the_reason_why_a_day_is_not_verified() {
    let world = world().await;
    world.nightly().await;
    let file = world.shifted(day(DAY)).await;
    let report = verify(&world).await;
    assert_eq!(report.verdict, Verdict::Unreadable, "{report}");
    let text = report.to_string();
    assert!(text.contains(&file.path) && text.contains("are not in 2025-10-26"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_another_program_replaces_meanwhile_is_read_where_its_rows_are_now() {
    for aftermath in [Aftermath::Deleted, Aftermath::Torn] {
        let mut world = world().await;
        world.nightly().await;
        let file = world.a_file(Table::Events, day(DAY)).await;
        world.rewrite_before_read(&file, aftermath);
        let report = verify(&world).await;
        assert_eq!(report.verdict, Verdict::Equal, "{aftermath:?}: {report}");
    }
}
