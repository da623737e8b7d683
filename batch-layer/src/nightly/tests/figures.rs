//! What the final rows say.

use std::collections::BTreeMap;

use lake_model::{Calendar, KafkaPartition, Speed, Summary, Timestamp, Window, WindowSize};
use proptest::prelude::*;

use super::oracle;
use crate::test_support::{HOUR_US, MINUTE_US, Seen, World, at, day, seen};

const DAY: &str = "2025-04-05";

#[tokio::test]
async fn events_that_repeat_count_once_whatever_their_partition() {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    let event = seen("KV1", "2025-04-05T10:00:00Z", 60_000);
    let events = [
        event.clone(),
        event.clone().in_partition(1),
        event.clone().late(),
        event.clone().with_plate(""),
        event.clone().with_plate("А123ВС77"),
        event.with_plate("А123ВС77").in_partition(1),
    ];
    world.process(&events).await;
    let run = world.nightly().await.done.remove(0);
    assert_eq!((run.rows_read, run.duplicates_dropped, run.late_rows), (6, 3, 1));
    assert_eq!((run.cameras, run.rows_written), (1, 3));
    assert_eq!(run.kafka_offsets, r#"{"0":4,"1":2}"#);
    let rows = world.served(day(DAY)).await;
    assert!(rows.iter().all(|row| row.summary.count() == 3 && row.kafka_partition.is_none()));
}

/// Events every ten minutes of a local day, with the number of hours that it has.
async fn days_of(zone: &str, date: &str, hours: i64) {
    let mut world = World::new(zone, "2025-12-01T00:00:00Z").await;
    let span = Calendar::new(zone).unwrap().span(day(date));
    assert_eq!(span.end.saturating_since(span.start), hours * HOUR_US);
    let event = |index: i64| Seen {
        time: span.start.saturating_add(index * 10 * MINUTE_US),
        ..seen("KV1", "2025-04-05T10:00:00Z", 50_000 + u32::try_from(index + 1).unwrap())
    };
    // One on each side of the day too.
    let events: Vec<Seen> = (-1..=hours * 6).map(event).collect();
    world.process(&events).await;
    world.nightly().await;
    let rows = world.served(day(date)).await;
    let count = |size| rows.iter().filter(|row| row.window.size == size).count() as i64;
    assert_eq!(count(WindowSize::OneHour), hours);
    assert_eq!(count(WindowSize::FiveMinutes), hours * 6);
    let whole = rows.iter().find(|row| row.window.size == WindowSize::Day).unwrap();
    assert_eq!((whole.window.start, whole.window.end), (span.start, span.end));
    assert_eq!(whole.summary.count(), u64::try_from(hours * 6).unwrap());
}

#[tokio::test]
async fn a_day_of_23_hours_has_as_many_windows_of_an_hour() {
    days_of("Europe/Berlin", "2025-03-30", 23).await;
}

#[tokio::test]
async fn a_day_of_25_hours_has_as_many_windows_of_an_hour() {
    days_of("Europe/Berlin", "2025-10-26", 25).await;
}

#[tokio::test]
async fn an_event_outside_the_day_of_its_file_is_told_and_nothing_is_published() {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    world.land(&[seen("KV1", "2025-04-05T10:00:00Z", 60_000)]).await;
    world.set_days(&Calendar::new("Pacific/Kiritimati").unwrap()).await;
    let result = super::super::run(
        &world.context,
        &world.kafka,
        &crate::test_support::options(),
        &crate::Shutdown::never(),
    )
    .await;
    let report = result.unwrap();
    assert!(report.done.is_empty());
    assert!(report.to_string().contains("is not in 2025-04-05"), "{report}");
}

/// Events of a few cameras and instants, so that many repeat and many share windows.
fn events() -> impl Strategy<Value = Vec<Seen>> {
    let event = (
        0_i32..3,
        0_u8..5,
        -30_i64..1500,
        prop::sample::select(vec![0_u32, 1, 59_999, 60_000, 60_001, 123_456, 400_000]),
        prop::option::of(prop::sample::select(vec!["", "A", "B"])),
        any::<bool>(),
    );
    let seen = |(partition, camera, minute, thousandths, plate, late)| Seen {
        partition: KafkaPartition(partition),
        camera: format!("KV{camera}"),
        time: at("2025-04-05T00:00:00Z").saturating_add(minute * MINUTE_US),
        thousandths,
        plate: Option::<&str>::map(plate, str::to_owned),
        late,
    };
    prop::collection::vec(event.prop_map(seen), 1..60)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn world_of(events: &[Seen], max_rows: usize, limit_kmh: Option<f64>) -> World {
    let mut settings = lake_config::Settings::default();
    settings.batch.max_rows_in_memory = max_rows;
    settings.speed_limits.default_kmh = limit_kmh;
    let mut world = World::with_settings(settings, "2025-04-07T12:00:00Z").await;
    for part in events.chunks(25) {
        world.process(part).await;
    }
    world
}

/// Count, sum, minimum, maximum and the bits of the average of each camera's windows.
type Merged = BTreeMap<(String, Window), (u64, u64, Speed, Speed, u64)>;

async fn merged(world: &World) -> Merged {
    let mut panes: BTreeMap<(String, Window), Summary> = BTreeMap::new();
    for row in world.served(day(DAY)).await {
        let key = (row.camera_id.to_string(), row.window);
        panes.entry(key).or_default().merge(&row.summary);
    }
    let figures =
        |s: Summary| (s.count(), s.sum_thousandths(), s.min(), s.max(), s.average_kmh().to_bits());
    panes.into_iter().map(|(key, summary)| (key, figures(summary))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn final_rows_equal_those_worked_out_in_the_plainest_way(
        events in events(),
        max_rows in 1_usize..40,
        has_limit in any::<bool>(),
    ) {
        block_on(async {
            let world = world_of(&events, max_rows, has_limit.then_some(60.0)).await;
            let report = world.nightly().await;
            let Some(run) = report.done.iter().find(|run| run.day() == day(DAY)) else {
                assert!(events.iter().all(|e| !Calendar::utc().span(day(DAY)).contains(e.time)));
                return;
            };
            let limit = has_limit.then(|| Speed::from_thousandths(60_000));
            let started = Timestamp::from_micros(run.started_at);
            let version = run.events_version;
            let expected = oracle::final_rows(
                &Calendar::utc(), &events, day(DAY), limit, version, started,
            );
            let served = world.served(day(DAY)).await;
            assert_eq!(served, expected);
            assert_eq!(run.rows_written, i64::try_from(expected.len()).unwrap());
        });
    }

    #[test]
    fn with_no_late_and_no_duplicate_events_final_equals_the_merge_of_provisional(
        events in events(),
    ) {
        block_on(async {
            let mut distinct: Vec<Seen> = Vec::new();
            for event in events.into_iter().map(|event| Seen { late: false, ..event }) {
                let same = |other: &Seen| Seen { partition: event.partition, ..other.clone() } == event;
                if !distinct.iter().any(same) {
                    distinct.push(event);
                }
            }
            let world = world_of(&distinct, 1_000_000, None).await;
            let provisional = merged(&world).await;
            let report = world.nightly().await;
            assert_eq!(merged(&world).await, provisional);
            assert!(report.done.iter().all(|run| run.drift_windows == 0 && run.drift_max_kmh == 0.0));
        });
    }
}
