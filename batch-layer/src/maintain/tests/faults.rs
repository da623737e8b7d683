//! Maintenance goes on beside data files that can't be used, and names them.

use std::time::Duration;

use lake_tables::Table;

use super::retention::expired;
use super::{DAY, maintain, rows, world};
use crate::audit;
use crate::test_support::{Damage, day};

const NEXT_DAY: &str = "2025-04-06";

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_a_damaged_file_is_named_and_the_other_is_compacted() {
    for damage in [Damage::Torn, Damage::Lost, Damage::Overwritten] {
        let world = world().await;
        world.nightly().await;
        let file = world.a_file(Table::Events, day(DAY)).await;
        world.damage(Table::Events, &file, damage).await;
        let report = maintain(&world).await;
        assert!(!report.is_complete(), "{damage:?}");
        let text = report.to_string();
        assert!(text.contains("events 2025-04-05: LEFT") && text.contains(&file.path), "{text}");
        assert_eq!(report.rewritten.len(), 1, "{text}");
        assert_eq!(report.rewritten[0].day, Some(day(NEXT_DAY)));
        assert_eq!(rows(&world, NEXT_DAY).await.1.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_day_with_a_damaged_file_the_other_slices_are_compacted() {
    let mut world = world().await;
    // Less than a file has, so that every file is a slice of its own.
    world.context.settings.batch.max_rows_in_memory = 1;
    let file = world.a_file(Table::Events, day(DAY)).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    let report = maintain(&world).await;
    let of_day = report.rewritten.iter().find(|done| done.day == Some(day(DAY))).unwrap();
    assert_eq!((of_day.before, of_day.after), (11, Some(11)), "{report}");
    assert!(!report.is_complete() && report.to_string().contains(&file.path), "{report}");
    let log = world.log(Table::Events).await;
    assert!(log.state().file(&file.path).is_some(), "the damaged file stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_tables_and_of_no_known_encoding_stand_in_the_way_of_nothing() {
    let world = world().await;
    world.nightly().await;
    // A footer decides only about files whose tags do not.
    for table in [Table::Events, Table::AvgSpeed] {
        let file = world.without_tags(table, day(DAY)).await;
        world.damage(table, &file, Damage::Torn).await;
    }
    let report = maintain(&world).await;
    let faults: Vec<Table> = report.faults.iter().map(|fault| fault.table).collect();
    assert!(faults.contains(&Table::AvgSpeed) && faults.contains(&Table::Events), "{report}");
    assert!(report.to_string().contains("nightly --date 2025-04-05 --force"), "{report}");
    assert!(report.rewritten.iter().any(|rewritten| rewritten.day == Some(day(NEXT_DAY))));
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_ends_before_a_day_that_cannot_be_read_and_goes_on_once_it_can() {
    let mut world = expired().await;
    world.kafka_has(0, 24..24);
    world.kafka_has(1, 24..24);
    let file = world.a_file(Table::Events, day(NEXT_DAY)).await;
    let sound = world.bytes_of(Table::Events, &file).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    let report = maintain(&world).await;
    assert_eq!(report.dropped_days, [day(DAY)]);
    assert_eq!(report.faults.len(), 1, "{report}");
    world.overwrite(Table::Events, &file, sound).await;
    world.context.settings.maintain.event_retention = Some(Duration::from_secs(86_400));
    let report = maintain(&world).await;
    assert_eq!((report.dropped_days.len(), report.is_complete()), (1, true), "{report}");
    assert!(audit::run(&world.context).await.unwrap().is_ok());
}
