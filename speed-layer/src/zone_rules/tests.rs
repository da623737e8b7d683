//! Programs with different time-zone databases on one lake: what each writes, and whose work is fenced.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lake_config::Settings;
use lake_delta::Lake;
use lake_model::calendar::TzRelease;
use lake_model::{Calendar, KafkaPartition, TableVersion};
use lake_tables::identity::LakeIdentity;
use lake_testing::memory::lake_in_memory_with;
use lake_testing::{CountedIds, ManualClock};

use super::*;
use crate::test_instance::{Instance, minute, version};

const DAY_MINUTES: i64 = 24 * 60;
const PARTITION: KafkaPartition = KafkaPartition(0);
/// An hour before midnight by the new rules, and half an hour after it by the old ones: of 4 October or of 3 October.
const BETWEEN: i64 = -330;
/// On 1 October, which has begun when the rules change.
const BEGUN: i64 = -2 * DAY_MINUTES - 500;

/// The rules of Almaty before 2024, which are those of Omsk still, and since.
fn old() -> ZoneRules {
    rules("2023c", "Asia/Omsk")
}

fn new() -> ZoneRules {
    rules("2024a", "Asia/Almaty")
}

fn rules(release: &str, zone: &str) -> ZoneRules {
    let bundled = ZoneRules::bundled(zone).unwrap();
    ZoneRules::from_tzif(TzRelease::new(release), bundled.tzif()).unwrap()
}

/// A lake whose clock stands three days before the tests' day of events: newer rules count from the day before that.
fn lake() -> Lake {
    lake_by(&clock())
}

fn clock() -> ManualClock {
    ManualClock::at(minute(-3 * DAY_MINUTES))
}

fn lake_by(clock: &ManualClock) -> Lake {
    lake_in_memory_with(Arc::new(clock.clone()), Arc::new(CountedIds::default()))
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.pipeline.timezone = "Asia/Almaty".to_owned();
    settings
}

async fn opened(lake: &Lake, rules: &ZoneRules) -> Tables {
    Tables::open_with_rules(lake, LakeIdentity::of(&settings()), rules).await.unwrap()
}

/// An instance of a program with these rules that holds partition 0.
async fn instance(lake: &Lake, rules: &ZoneRules) -> Instance {
    let mut instance = Instance::with(settings(), opened(lake, rules).await);
    instance.take_over(&[0]).await;
    instance
}

/// Goes over to the rules in force and loads partition 0 anew, as the engine does after a fence. Returns whether the days
/// are others.
async fn reload(instance: &mut Instance) -> bool {
    let Instance { committer, rules, partitions, takeover, .. } = instance;
    let has_changed = takeover.follow_calendar(committer, rules).await.unwrap();
    takeover.reload(PARTITION, partitions, committer, rules).await.unwrap();
    has_changed
}

async fn log(lake: &Lake, table: Table) -> TableLog {
    TableLog::open(lake, table).await.unwrap()
}

async fn rules_in(lake: &Lake, table: Table) -> Option<Calendar> {
    calendar_of(log(lake, table).await.state()).unwrap()
}

async fn days_in(lake: &Lake, table: Table) -> Vec<String> {
    days_of(log(lake, table).await.state()).iter().map(Day::to_string).collect()
}

async fn versions(lake: &Lake) -> BTreeMap<Table, TableVersion> {
    let mut versions = BTreeMap::new();
    for table in Table::ALL {
        versions.insert(table, version(lake, table).await);
    }
    versions
}

/// What newer rules make of the days of `tables`.
fn updated(tables: &Tables) -> Calendar {
    let in_force = tables.calendar().unwrap();
    match addition(tables, &in_force, &new()) {
        Step::Announce(calendar) => calendar,
        other => panic!("{other:?}"),
    }
}

async fn assert_agreed(lake: &Lake) -> Calendar {
    let in_force = rules_in(lake, Table::Events).await.unwrap();
    for table in Table::ALL {
        assert_eq!(rules_in(lake, table).await.as_ref(), Some(&in_force), "{table}");
    }
    in_force
}

#[tokio::test]
async fn the_first_start_writes_the_rules_of_its_program_into_every_table_once() {
    let lake = lake();
    opened(&lake, &old()).await;
    assert_eq!(assert_agreed(&lake).await, Calendar::of(old()));
    opened(&lake, &old()).await;
    assert!(versions(&lake).await.values().all(|version| *version == TableVersion(0)));
}

#[tokio::test]
async fn a_lake_of_an_earlier_release_is_given_the_rules_of_the_first_program_that_opens_it() {
    let lake = lake();
    let identity = LakeIdentity::of(&settings());
    for table in Table::ALL {
        identity.open_or_create(&lake, table).await.unwrap();
    }
    let events = log(&lake, Table::Events).await;
    let bundled = ZoneRules::bundled("Asia/Almaty").unwrap();
    assert_eq!(identity.calendar_at(events.state()).unwrap(), Calendar::of(bundled));
    opened(&lake, &old()).await;
    assert_eq!(assert_agreed(&lake).await, Calendar::of(old()));
    opened(&lake, &rules("2022a", "Asia/Almaty")).await;
    assert_eq!(assert_agreed(&lake).await, Calendar::of(old()), "an older program adds nothing");
}

#[tokio::test]
async fn newer_rules_are_added_once_and_an_older_program_takes_nothing_back() {
    let lake = lake();
    opened(&lake, &old()).await;
    opened(&lake, &new()).await;
    let in_force = assert_agreed(&lake).await;
    let [change] = in_force.changes() else { panic!("{in_force:?}") };
    assert_eq!((change.from.to_string(), &change.rules), ("2024-10-03".to_owned(), &new()));
    let before = versions(&lake).await;
    for program in [old(), new()] {
        opened(&lake, &program).await;
    }
    assert_eq!(versions(&lake).await, before);
}

#[tokio::test]
async fn programs_with_different_databases_that_start_at_once_agree() {
    for lake_is_new in [true, false] {
        let lake = lake();
        if !lake_is_new {
            opened(&lake, &rules("2022a", "Asia/Omsk")).await;
        }
        let (older, newer) = (old(), new());
        tokio::join!(opened(&lake, &older), opened(&lake, &newer), opened(&lake, &older));
        // Whoever opened the tables before the newest rules came sees them when it is fenced, or starts again.
        opened(&lake, &newer).await;
        let far = Day::parse("2025-01-01").unwrap();
        assert_eq!(assert_agreed(&lake).await.span(far), Calendar::of(newer).span(far));
    }
}

#[tokio::test]
async fn work_of_days_that_have_other_bounds_by_now_is_fenced_and_done_anew() {
    let lake = lake();
    let mut running = instance(&lake, &old()).await;
    running.receive(0, &[(0, Some(BETWEEN))]);
    opened(&lake, &new()).await;
    assert_eq!(running.land().await, BTreeSet::from([PARTITION]));
    assert_eq!(running.average(false).await, Some(BTreeSet::from([PARTITION])));
    for table in [Table::Events, Table::AvgSpeed] {
        assert!(days_in(&lake, table).await.is_empty(), "{table}");
    }
    assert!(reload(&mut running).await);
    running.receive(0, &[(0, Some(BETWEEN))]);
    assert_eq!(running.land().await, BTreeSet::new());
    assert_eq!(running.average(false).await, Some(BTreeSet::new()));
    for table in [Table::Events, Table::AvgSpeed] {
        assert_eq!(days_in(&lake, table).await, ["2024-10-03"], "{table}");
    }
}

#[tokio::test]
async fn work_of_days_that_keep_their_bounds_is_committed_by_whoever_did_it() {
    let lake = lake();
    let mut running = instance(&lake, &old()).await;
    opened(&lake, &new()).await;
    running.receive(0, &[(0, Some(BEGUN)), (1, None)]);
    assert_eq!(running.land().await, BTreeSet::new());
    assert_eq!(running.average(false).await, Some(BTreeSet::new()));
    assert_eq!(days_in(&lake, Table::Events).await, ["2024-10-01"]);
}

#[tokio::test]
async fn days_with_data_keep_their_bounds_in_whichever_table_the_data_are() {
    for landed in [true, false] {
        let lake = lake();
        let mut running = instance(&lake, &old()).await;
        running.receive(0, &[(0, Some(BETWEEN))]);
        if landed {
            running.land().await;
        } else {
            running.average(false).await;
        }
        let mut next = instance(&lake, &new()).await;
        let [kept, changed] = ["2024-10-04", "2024-10-07"].map(|day| Day::parse(day).unwrap());
        let in_force = assert_agreed(&lake).await;
        assert_eq!(in_force.span(kept), Calendar::of(old()).span(kept), "{landed}");
        assert_eq!(in_force.span(changed), Calendar::of(new()).span(changed), "{landed}");
        // The other table gets the day with the same bounds, from whichever program.
        running.land().await;
        running.average(false).await;
        next.receive(0, &[(0, Some(BETWEEN)), (1, Some(BETWEEN + 1))]);
        next.land().await;
        next.average(false).await;
        for table in [Table::Events, Table::AvgSpeed] {
            assert_eq!(days_in(&lake, table).await, ["2024-10-04"], "{table}");
        }
    }
}

/// A program that dies between the announcement and the commit that puts the rules into force.
async fn announced_only(lake: &Lake) -> Calendar {
    let mut tables = opened(lake, &old()).await;
    let calendar = updated(&tables);
    let in_force = tables.calendar().unwrap();
    write(&mut tables.avg_speed, &calendar, Some(&in_force)).await.unwrap();
    calendar
}

#[tokio::test]
async fn announced_rules_are_put_into_force_by_whoever_starts_next_or_is_fenced_by_them() {
    for fenced in [true, false] {
        let lake = lake();
        let mut running = instance(&lake, &old()).await;
        running.receive(0, &[(0, Some(BETWEEN))]);
        let announced = announced_only(&lake).await;
        assert_eq!(rules_in(&lake, Table::Events).await, Some(Calendar::of(old())));
        if fenced {
            assert_eq!(running.average(false).await, Some(BTreeSet::from([PARTITION])));
            assert!(reload(&mut running).await);
        } else {
            opened(&lake, &old()).await;
        }
        assert_eq!(rules_in(&lake, Table::Events).await, Some(announced));
    }
}

#[tokio::test]
async fn days_that_have_begun_when_announced_rules_come_into_force_keep_their_bounds() {
    let clock = clock();
    let lake = lake_by(&clock);
    let announced = announced_only(&lake).await;
    // Nobody has started since, and the first day that was to begin by the new rules is nearly over.
    clock.set(minute(-12 * 60));
    opened(&lake, &old()).await;
    let in_force = assert_agreed(&lake).await;
    let [begun, changed] = ["2024-10-03", "2024-10-10"].map(|day| Day::parse(day).unwrap());
    assert_ne!(
        announced.span(begun),
        Calendar::of(old()).span(begun),
        "or there is nothing to keep"
    );
    assert_eq!(in_force.span(begun), Calendar::of(old()).span(begun));
    assert_eq!(in_force.span(changed), Calendar::of(new()).span(changed));
}

#[tokio::test]
async fn a_day_that_lands_after_newer_rules_were_announced_keeps_its_bounds() {
    let lake = lake();
    let mut running = instance(&lake, &old()).await;
    running.receive(0, &[(0, Some(BETWEEN))]);
    let announced = announced_only(&lake).await;
    assert_eq!(running.land().await, BTreeSet::new());
    assert_eq!(running.average(false).await, Some(BTreeSet::from([PARTITION])));
    reload(&mut running).await;
    running.receive(0, &[(0, Some(BETWEEN))]);
    assert_eq!(running.average(false).await, Some(BTreeSet::new()));
    let in_force = rules_in(&lake, Table::Events).await.unwrap();
    let [kept, changed] = ["2024-10-04", "2024-10-07"].map(|day| Day::parse(day).unwrap());
    assert_ne!(announced.span(kept), Calendar::of(old()).span(kept), "or there is nothing to keep");
    assert_eq!(in_force.span(kept), Calendar::of(old()).span(kept));
    assert_eq!(in_force.span(changed), Calendar::of(new()).span(changed));
    for table in [Table::Events, Table::AvgSpeed] {
        assert_eq!(days_in(&lake, table).await, ["2024-10-04"], "{table}");
    }
}

#[tokio::test]
async fn rules_that_cannot_be_read_are_an_error_that_names_them() {
    let lake = lake();
    opened(&lake, &old()).await;
    let bad = || vec![(ZONE_RULES.to_owned(), "{\"format\":2}".to_owned())];
    let is_good = |state: &TableState| state.property(ZONE_RULES).is_some_and(|v| v.len() > 20);
    let mut events = log(&lake, Table::Events).await;
    events.change_properties(|state| if is_good(state) { bad() } else { vec![] }).await.unwrap();
    let error =
        Tables::open_with_rules(&lake, LakeIdentity::of(&settings()), &old()).await.unwrap_err();
    assert!(matches!(error, LakeError::Configuration(_)));
    for part in [ZONE_RULES, "missing field", "use the release of lambdalake that wrote it"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}
