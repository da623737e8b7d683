//! Days of lakes in memory, read with more and less of them held.

#![allow(clippy::unwrap_used)]

use futures::TryStreamExt;
use lake_model::Window;

use super::*;
use crate::test_support::{HOUR_US, MINUTE_US, Seen, World, day, seen};

const DAY: &str = "2025-04-05";

/// A lake with two hundred events of thirty cameras, landed in several files, of which some repeat.
async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    let event = |index: i64| {
        let event = seen("", "2025-04-05T10:00:00Z", u32::try_from(40_000 + index % 7).unwrap());
        let time = event.time.saturating_add(index % 9 * MINUTE_US + index % 5 * HOUR_US);
        let camera = format!("KV{}", index * index % 30);
        let event = Seen { camera, time, ..event }.in_partition(i32::try_from(index % 3).unwrap());
        if index % 4 == 0 { event.with_plate("А123ВС77") } else { event }
    };
    let events: Vec<Seen> = (0..200).map(|index| event(index % 170)).collect();
    for part in events.chunks(30) {
        world.land(part).await;
    }
    world
}

/// What a day holds: rows and duplicates, and of each window its camera and the sum of its speeds.
type Read = (u64, u64, Vec<(String, Window, u64, u64)>);

async fn read(world: &World, max_rows: u64, ranges_at_once: usize) -> (Read, Vec<u64>) {
    let log = world.log(Table::Events).await;
    let files: Vec<FileEntry> = log.state().files_of(day(DAY)).cloned().collect();
    let span = world.days().await.span(day(DAY));
    let limits = Limits { max_rows, spill_folder: std::env::temp_dir(), ranges_at_once };
    let lake = &world.context.lake;
    let day = DayEvents::read(lake, span, &files, Covered::All, limits, |_| ()).await.unwrap();
    let (day, mut duplicates, mut windows, mut weights) =
        (Arc::new(day), 0, Vec::new(), Vec::new());
    let mut ranges = day.each_range(|day, range, distinct| {
        let sums = distinct.windows(day.span()).map(|window| {
            let mut speeds = Vec::new();
            window.speeds_into(&mut speeds);
            let sum = speeds.iter().map(|speed| u64::from(*speed)).sum::<u64>();
            (day.cameras()[window.camera].to_string(), window.window, window.count(), sum)
        });
        let single = range.cameras.places.len() == 1;
        let places = range.cameras.places.clone();
        let weight: u64 = places.map(|place| weight(day.camera_rows[place])).sum();
        (distinct.duplicates(), sums.collect::<Vec<_>>(), (!single).then_some(weight))
    });
    while let Some((repeated, sums, weight)) = ranges.try_next().await.unwrap() {
        duplicates += repeated;
        windows.extend(sums);
        weights.extend(weight);
    }
    ((day.rows(), duplicates, windows), weights)
}

#[tokio::test]
async fn a_day_has_the_same_events_however_little_of_it_may_be_held() {
    let world = world().await;
    let (whole, _) = read(&world, 1_000_000, 1).await;
    assert_eq!((whole.0, whole.1), (200, 30));
    let cameras: Vec<&String> = whole.2.iter().map(|(camera, ..)| camera).collect();
    assert!(cameras.is_sorted(), "final rows are in the order of cameras");
    for (max_rows, ranges_at_once) in [(1, 1), (8, 1), (60, 2), (700, 1), (3_000, 3)] {
        let (found, weights) = read(&world, max_rows, ranges_at_once).await;
        assert_eq!(found, whole, "{max_rows}");
        let most = (max_rows / (2 * ranges_at_once as u64)).max(1);
        assert!(weights.iter().all(|weight| *weight <= most), "{max_rows}: {weights:?}");
    }
}

#[tokio::test]
async fn a_day_without_events_has_one_range_of_all_cameras() {
    let world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    let ((rows, duplicates, windows), _) = read(&world, 100, 2).await;
    assert_eq!((rows, duplicates, windows.len()), (0, 0, 0));
    let span = world.days().await.span(day(DAY));
    let limits = Limits::of(&world.context.settings);
    let lake = &world.context.lake;
    let day = DayEvents::read(lake, span, &[], Covered::All, limits, |_| ()).await.unwrap();
    let ranges = day.ranges();
    assert_eq!(ranges.len(), 1);
    assert!(ranges[0].cameras.span.contains("any"));
}

#[tokio::test]
async fn a_folder_that_can_not_hold_the_rest_of_a_day_is_an_error_with_the_setting() {
    let world = world().await;
    let log = world.log(Table::Events).await;
    let files: Vec<FileEntry> = log.state().files_of(day(DAY)).cloned().collect();
    let span = world.days().await.span(day(DAY));
    let limits = Limits { max_rows: 1, spill_folder: "/no/such/folder".into(), ranges_at_once: 1 };
    let read =
        DayEvents::read(&world.context.lake, span, &files, Covered::All, limits, |_| ()).await;
    let error = read.unwrap_err();
    assert!(error.to_string().contains("batch.spill_folder"), "{error}");
    assert!(error.data_file_at_fault().is_none(), "no file of the lake is at fault");
}
