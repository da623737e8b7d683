//! Days by the rules in the lake, whatever the time-zone database of the program says.

use std::collections::BTreeSet;

use lake_model::calendar::{RulesUpdate, TzRelease};
use lake_model::{Calendar, Day, WindowSize, ZoneRules};
use lake_tables::Table;
use lake_tables::avg_speed::AvgSpeedRow;

use crate::test_support::{HOUR_US, MINUTE_US, Seen, World, at, day, options, seen};

fn rules(release: &str, zone: &str) -> ZoneRules {
    let bundled = ZoneRules::bundled(zone).unwrap();
    ZoneRules::from_tzif(TzRelease::new(release), bundled.tzif()).unwrap()
}

/// Almaty by the rules before 2024, which are those of Omsk still; they have 3 October 2024 begin at 18:00 UTC.
fn earlier() -> Calendar {
    Calendar::of(rules("2023c", "Asia/Omsk"))
}

/// The days that follow from newer rules at that time.
fn updated(now: &str, days_with_data: &[Day]) -> Calendar {
    let days: BTreeSet<Day> = days_with_data.iter().copied().collect();
    match earlier().update(&rules("2024a", "Asia/Almaty"), at(now), &days) {
        RulesUpdate::From { calendar, .. } => calendar,
        other => panic!("{other:?}"),
    }
}

/// Events every ten minutes from 1 to 5 October, by UTC.
fn events() -> Vec<Seen> {
    let first = at("2024-10-01T00:00:00Z");
    let event = |index: i64| Seen {
        time: first.saturating_add(index * 10 * MINUTE_US),
        ..seen("KV1", "2024-10-01T00:00:00Z", 50_000 + u32::try_from(index).unwrap())
    };
    (0..5 * 144).map(event).collect()
}

fn figures(rows: Vec<AvgSpeedRow>) -> Vec<AvgSpeedRow> {
    let computed_at = at("1970-01-01T00:00:00Z");
    rows.into_iter().map(|row| AvgSpeedRow { computed_at, events_version: None, ..row }).collect()
}

#[tokio::test]
async fn days_on_both_sides_of_a_change_of_rules_are_made_final_by_their_own_bounds() {
    let mut world = World::new("Asia/Almaty", "2024-10-08T00:00:00Z").await;
    // Known on 1 October: the clocks go back when 3 October begins, so that 2 October has 25 hours.
    world.set_days(&updated("2024-09-30T18:00:00Z", &[])).await;
    world.process(&events()).await;
    let report = world.nightly().await;
    assert!(report.is_complete());
    let days = world.days().await;
    for (date, hours) in [("2024-10-01", 18), ("2024-10-02", 25), ("2024-10-03", 24)] {
        let span = days.span(day(date));
        let rows = world.served(day(date)).await;
        assert!(
            rows.iter().all(|row| span.start <= row.window.start && row.window.end <= span.end)
        );
        let of_hours = rows.iter().filter(|row| row.window.size == WindowSize::OneHour);
        assert_eq!(of_hours.count(), hours, "{date}");
        let whole = rows.iter().find(|row| row.window.size == WindowSize::Day).unwrap();
        assert_eq!((whole.window.start, whole.window.end), (span.start, span.end));
        assert_eq!(whole.summary.count(), hours as u64 * 6, "{date}");
        assert_eq!(
            whole.window.start,
            at(&format!("{date}T00:00:00Z"))
                .saturating_add(if date == "2024-10-03" { -5 } else { -6 } * HOUR_US)
        );
        #[cfg(feature = "verify")]
        {
            let verified = crate::verify::run(&world.context, day(date)).await.unwrap();
            assert_eq!(verified.verdict, crate::verify::Verdict::Equal, "{verified}");
        }
    }
    let audited = crate::audit::run(&world.context).await.unwrap();
    assert!(audited.is_ok(), "{audited}");
}

#[tokio::test]
async fn newer_rules_leave_days_with_data_as_they_were_computed() {
    let mut world = World::new("Asia/Almaty", "2024-10-08T00:00:00Z").await;
    world.set_days(&earlier()).await;
    world.process(&events()).await;
    world.nightly().await;
    let log = world.log(Table::Events).await;
    let days: Vec<Day> = log.state().files().filter_map(|file| file.partition).collect();
    let mut before = Vec::new();
    for day in &days {
        before.push(figures(world.served(*day).await));
    }
    // As if the rules had been published before the first of these days; all have data by now.
    world.set_days(&updated("2024-09-28T00:00:00Z", &days)).await;
    assert_ne!(world.days().await, earlier());
    let again =
        world.nightly_with(crate::nightly::NightlyOptions { force: true, ..options() }).await;
    assert_eq!(again.done.len(), before.len());
    assert!(again.done.iter().all(|run| run.drift_windows == 0), "{:?}", again.done);
    for (day, before) in days.iter().zip(before) {
        assert_eq!(figures(world.served(*day).await), before, "{day}");
    }
}
