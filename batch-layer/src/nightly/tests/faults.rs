//! A day whose data can't be read is left, and stands in the way of no other.

use lake_tables::Table;
use lake_tables::avg_speed::AvgSpeedRow;
use lake_testing::stores::{Intercept, Intercepted, Request};

use super::super::{DayFilter, NightlyOptions};
use crate::test_support::{Aftermath, Damage, World, at, day, options, seen};
use crate::{Shutdown, nightly};

const DAYS: [&str; 3] = ["2025-04-04", "2025-04-05", "2025-04-06"];

/// Three closed days of three events in two files each.
async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-08T12:00:00Z").await;
    for day in DAYS {
        let time = |clock: &str| format!("{day}T{clock}Z");
        let events = [
            seen("KV1", &time("10:00:00"), 60_000),
            seen("KV1", &time("10:01:00"), 80_000),
            seen("KV2", &time("23:59:59"), 50_000).in_partition(1),
        ];
        world.process(&events).await;
    }
    world
}

#[tokio::test]
async fn a_day_with_a_damaged_file_is_left_with_its_reason_and_the_others_are_made_final() {
    for damage in [Damage::Torn, Damage::Lost, Damage::Overwritten] {
        let world = world().await;
        let file = world.a_file(Table::Events, day(DAYS[1])).await;
        world.damage(Table::Events, &file, damage).await;
        let report = world.nightly().await;
        let done: Vec<_> = report.done.iter().map(|run| run.day()).collect();
        assert_eq!(done, [day(DAYS[0]), day(DAYS[2])], "{damage:?}");
        assert!(!report.is_complete());
        assert!(report.to_string().contains(&file.path), "{report}");
        let recorded: Vec<_> = world.runs().await.iter().map(|run| run.day()).collect();
        assert_eq!(recorded, done);
    }
}

#[tokio::test]
async fn a_row_outside_its_day_leaves_that_day_alone() {
    let world = world().await;
    let stray = world.land_as_of(day(DAYS[1]), at("2025-04-06T00:00:00Z"), 0).await;
    let report = world.nightly().await;
    let done: Vec<_> = report.done.iter().map(|run| run.day()).collect();
    assert_eq!(done, [day(DAYS[0]), day(DAYS[2])]);
    let left = &report.json()["left"][0];
    assert_eq!((&left["day"], report.json()["complete"].as_bool()), (&DAYS[1].into(), Some(false)));
    assert_eq!(left["fault"]["file"], format!("events/{}", stray.path));
    let problem = left["fault"]["problem"].as_str().unwrap();
    assert!(problem.contains("2025-04-06T00:00:00Z is not in 2025-04-05"), "{problem}");
    let remedy = left["fault"]["remedy"].as_str().unwrap();
    assert!(remedy.contains(&format!("quarantine --file events/{}", stray.path)), "{remedy}");
}

#[tokio::test]
async fn whichever_byte_of_a_file_is_another_its_day_is_computed_or_left() {
    let world = world().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    let sound = world.bytes_of(Table::Events, &file).await;
    let days = DayFilter::only(day(DAYS[1]));
    let forced = NightlyOptions { days, force: true, ..options() };
    // The decoder panics over some bytes of the first page; the others are sampled.
    for at in (0..40).chain((40..sound.len()).step_by(61)) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0xff;
        world.overwrite(Table::Events, &file, damaged).await;
        let report = world.nightly_with(forced.clone()).await;
        assert_eq!(report.done.len() + report.left.len(), 1, "byte {at}: {report}");
    }
}

#[tokio::test]
async fn a_day_with_rows_that_were_counted_and_not_used_is_left_and_the_file_named() {
    let mut world = world().await;
    world.context.settings.batch.max_rows_in_memory = 1;
    let astray = |stats: &mut serde_json::Value| {
        stats["minValues"]["camera_id"] = "KX".into();
        stats["maxValues"]["camera_id"] = "KX".into();
    };
    let file = world.restated(day(DAYS[1]), astray).await;
    let report = world.nightly().await;
    let done: Vec<_> = report.done.iter().map(|run| run.day()).collect();
    assert_eq!(done, [day(DAYS[0]), day(DAYS[2])], "{report}");
    assert!(report.to_string().contains(&file.path), "{report}");
}

#[tokio::test]
async fn an_outage_of_the_store_is_no_fault_of_a_day() {
    let mut world = world().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.decorate(|behind| Intercepted::new(behind, Refusing { file: file.path.clone() }));
    let result = nightly::run(&world.context, &world.kafka, &options(), &Shutdown::never()).await;
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    assert_eq!(world.runs().await.len(), 1, "the day before it is final");
}

#[tokio::test]
async fn a_file_that_was_rewritten_and_deleted_since_the_log_was_read_is_no_fault() {
    let mut world = world().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.rewrite_before_read(&file, Aftermath::Deleted);
    let report = world.nightly().await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.done.len(), 3);
    assert!(world.log(Table::Events).await.state().file(&file.path).is_none());
}

#[tokio::test]
async fn a_final_day_whose_averages_are_lost_is_written_anew_by_force() {
    for damage in [Damage::Torn, Damage::Lost, Damage::Overwritten] {
        let world = world().await;
        world.nightly().await;
        let served = world.served(day(DAYS[1])).await;
        let file = world.a_file(Table::AvgSpeed, day(DAYS[1])).await;
        world.damage(Table::AvgSpeed, &file, damage).await;
        let days = DayFilter::only(day(DAYS[1]));
        let report = world.nightly_with(NightlyOptions { days, force: true, ..options() }).await;
        assert_eq!((report.done.len(), report.is_complete()), (1, true), "{damage:?}: {report}");
        let figures = |rows: &[AvgSpeedRow]| -> Vec<_> {
            rows.iter().map(|row| (row.camera_id.clone(), row.window, row.summary)).collect()
        };
        assert_eq!(figures(&world.served(day(DAYS[1])).await), figures(&served));
    }
}

/// Requests for one data file fail as those of a store that is out of reach.
#[derive(Debug)]
struct Refusing {
    file: String,
}

impl Intercept for Refusing {
    async fn around<T: Send>(
        &self,
        request: Request<'_>,
        operation: impl Future<Output = object_store::Result<T>> + Send,
    ) -> object_store::Result<T> {
        match request {
            Request::Get { location } if location.as_ref().ends_with(&self.file) => {
                Err(object_store::Error::Generic { store: "test", source: "no answer".into() })
            }
            _ => operation.await,
        }
    }
}
