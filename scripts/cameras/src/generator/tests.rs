//! What holds for every run: order, shares, repeats, and memory.

use std::collections::HashSet;

use lake_model::{Calendar, Day};
use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;
const USUAL: Shares =
    Shares { late: 0.02, late_max_ms: 10 * HOUR_MS, duplicates: 0.005, bad: 0.001 };

fn schedule(days: u32, events: u64) -> Schedule {
    let first = Day::parse("2025-04-04").expect("a date");
    Schedule::over_days(Calendar::utc(), first, days, events)
}

fn deliveries(seed: u64, events: u64, shares: Shares) -> Vec<Delivery> {
    let world = World::new(seed, 20, 1000);
    Generator::new(&world, schedule(1, events), shares, seed).collect()
}

fn count(list: &[Delivery], kind: impl Fn(Kind) -> bool) -> usize {
    list.iter().filter(|delivery| kind(delivery.kind)).count()
}

fn is_event(kind: Kind) -> bool {
    matches!(kind, Kind::Event | Kind::Late)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn deliveries_are_in_order_of_arrival_complete_and_the_same_for_the_same_seed(
        seed in any::<u64>(),
        events in 0_u64..3000,
        late in 0.0..=1.0_f64,
        late_max_ms in 0..30 * HOUR_MS,
        duplicates in 0.0..=1.0_f64,
        bad in 0.0..=1.0_f64,
    ) {
        let shares = Shares { late, late_max_ms, duplicates, bad };
        let list = deliveries(seed, events, shares);
        prop_assert!(list.is_sorted_by_key(|delivery| delivery.arrival_ms));
        prop_assert_eq!(count(&list, is_event) as u64, events);
        for delivery in &list {
            let transit_ms = delivery.arrival_ms - delivery.sighting.event_ms;
            let most_ms = match delivery.kind {
                Kind::Event | Kind::Bad(_) => MAX_TRANSIT_MS,
                Kind::Late => MAX_TRANSIT_MS + late_max_ms,
                Kind::Duplicate => MAX_TRANSIT_MS + late_max_ms + MAX_RESEND_MS,
            };
            prop_assert!((0..=most_ms).contains(&transit_ms));
        }
        prop_assert_eq!(list, deliveries(seed, events, shares));
    }
}

#[test]
fn another_seed_gives_other_deliveries() {
    assert_ne!(deliveries(1, 1000, USUAL), deliveries(2, 1000, USUAL));
}

#[test]
fn shares_are_as_asked_for() {
    let list = deliveries(1, 200_000, USUAL);
    let share = |kind: fn(Kind) -> bool| count(&list, kind) as f64 / 200_000.0;
    assert!((0.018..0.022).contains(&share(|kind| kind == Kind::Late)));
    assert!((0.004..0.006).contains(&share(|kind| kind == Kind::Duplicate)));
    assert!((0.0007..0.0013).contains(&share(|kind| matches!(kind, Kind::Bad(_)))));
}

#[test]
fn all_shares_of_nothing_give_events_alone() {
    let none = Shares { late: 0.0, late_max_ms: 0, duplicates: 0.0, bad: 0.0 };
    assert_eq!(count(&deliveries(1, 5000, none), |kind| kind == Kind::Event), 5000);
}

#[test]
fn duplicates_repeat_a_sighting_that_was_delivered_before() {
    let mut delivered = HashSet::new();
    let mut repeats = 0;
    for delivery in deliveries(1, 50_000, USUAL) {
        let sighting = delivery.sighting;
        let identity = (sighting.event_ms, sighting.camera, sighting.plate, sighting.speed_tenths);
        match delivery.kind {
            Kind::Duplicate => {
                assert!(delivered.contains(&identity), "{delivery:?} repeats nothing");
                repeats += 1;
            }
            Kind::Event | Kind::Late => {
                delivered.insert(identity);
            }
            Kind::Bad(_) => {}
        }
    }
    assert!(repeats > 150);
}

#[test]
fn late_events_put_event_times_out_of_order() {
    let list = deliveries(1, 50_000, USUAL);
    let mut latest_ms = i64::MIN;
    let mut hours_behind = 0;
    for delivery in list.iter().filter(|delivery| is_event(delivery.kind)) {
        latest_ms = latest_ms.max(delivery.sighting.event_ms);
        hours_behind += usize::from(latest_ms - delivery.sighting.event_ms > 3 * HOUR_MS);
    }
    assert!(hours_behind > 300, "{hours_behind} events came more than three hours late");
}

#[test]
fn bad_kinds_take_turns() {
    let shares = Shares { bad: 0.01, ..USUAL };
    let list = deliveries(1, 20_000, shares);
    for kind in BadKind::ALL {
        let times = count(&list, |other| other == Kind::Bad(kind));
        assert!(times >= count(&list, |other| matches!(other, Kind::Bad(_))) / 11, "{kind:?}");
    }
}

#[test]
fn the_queue_holds_what_is_under_way_however_long_the_run() {
    let most = |days: u32| {
        let world = World::new(1, 20, 1000);
        let events = 100_000 * u64::from(days);
        let mut generator = Generator::new(&world, schedule(days, events), USUAL, 1);
        let mut most = 0;
        while generator.next().is_some() {
            most = most.max(generator.under_way());
        }
        most
    };
    // Late events of one day wait five hours on average, the others some seconds.
    let (one, five) = (most(1), most(5));
    assert!(one < 2000, "{one} deliveries were under way at once");
    assert!(five < one + one / 4, "{five} over five days, {one} over one");
}

#[test]
fn what_is_under_way_at_the_start_is_late_and_as_much_as_in_a_long_run() {
    let (world, start) =
        (World::new(1, 20, 1000), Timestamp::parse("2025-04-05T12:00:00Z").expect("a time"));
    let start_ms = start.micros() / 1000;
    let live =
        |from_ms, rate| Schedule::live(Calendar::utc(), Timestamp::from_millis(from_ms), rate);
    let before = live(start_ms - USUAL.late_max_ms - MAX_TRANSIT_MS, 10.0 * USUAL.late);
    let started =
        Generator::new(&world, live(start_ms, 10.0), USUAL, 1).with_under_way(before, start);
    // A long run holds late events for half of the greatest lateness on average.
    let (expected, found) = (10.0 * USUAL.late * 5.0 * 3600.0, started.under_way() as f64);
    assert!((0.9..1.1).contains(&(found / expected)), "{found} instead of {expected}");
    let first: Vec<Delivery> = started.take(2000).collect();
    assert!(first.is_sorted_by_key(|delivery| delivery.arrival_ms));
    assert!(first.iter().all(|delivery| delivery.arrival_ms >= start_ms));
    let old = |delivery: &&Delivery| delivery.sighting.event_ms < start_ms;
    assert!(first.iter().filter(old).all(|delivery| delivery.kind != Kind::Event));
    let hours_old =
        first.iter().filter(|delivery| delivery.sighting.event_ms < start_ms - 3 * HOUR_MS);
    assert!(hours_old.count() > 10);
}
