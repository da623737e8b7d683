//! Rules that change: which days keep their bounds, and who prevails.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::{TzRelease, ZoneRules};
use super::*;

const DAY_US: i64 = 24 * 3600 * SECOND_US;

/// The rules of `zone` as if they were of that release.
fn rules(release: &str, zone: &str) -> ZoneRules {
    let bundled = ZoneRules::bundled(zone).unwrap();
    ZoneRules::from_tzif(TzRelease::new(release), bundled.tzif()).unwrap()
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Almaty before it was known that its clocks would go back, which Omsk's clocks show still.
fn almaty_until_2023() -> Calendar {
    Calendar::of(rules("2023c", "Asia/Omsk"))
}

fn almaty() -> ZoneRules {
    rules("2024a", "Asia/Almaty")
}

fn updated(calendar: &Calendar, rules: &ZoneRules, now: &str, data: &[&str]) -> (String, Calendar) {
    let data = data.iter().map(|text| day(text)).collect();
    match calendar.update(rules, time(now), &data) {
        RulesUpdate::From { day, calendar } => (day.to_string(), calendar),
        other => panic!("{other:?}"),
    }
}

fn start(calendar: &Calendar, date: &str) -> String {
    calendar.span(day(date)).start.to_string()
}

#[test]
fn newer_rules_count_from_a_day_on_that_begins_36_hours_later_at_least() {
    let old = almaty_until_2023();
    for (now, first) in [
        ("2024-06-08T05:59:59Z", "2024-06-10"),
        ("2024-06-08T06:00:00Z", "2024-06-11"),
        ("2024-06-09T05:59:59Z", "2024-06-11"),
    ] {
        let (from, new) = updated(&old, &almaty(), now, &[]);
        assert_eq!(from, first, "{now}");
        assert_eq!(start(&new, first), format!("{}T19:00:00Z", day(first).plus(-1)));
        let before = day(first).plus(-1);
        assert_eq!(new.span(before).start, old.span(before).start);
        assert!(!new.agrees_on([day("2024-06-01"), day(first)], &old), "one of them differs");
    }
}

#[test]
fn rules_known_in_time_count_from_the_day_that_they_change() {
    let (from, new) = updated(&almaty_until_2023(), &almaty(), "2024-02-01T00:00:00Z", &[]);
    assert_eq!(from, "2024-03-01", "the clocks go back when it begins");
    let last = new.span(day("2024-02-29"));
    assert_eq!(
        (last.start, last.end),
        (time("2024-02-28T18:00:00Z"), time("2024-02-29T19:00:00Z"))
    );
}

#[test]
fn days_with_data_keep_their_bounds_however_far_ahead_they_are() {
    let old = almaty_until_2023();
    let data = ["2024-06-09", "2024-06-11", "2030-01-01", "9998-12-30"];
    let (_, new) = updated(&old, &almaty(), "2024-06-08T00:00:00Z", &data);
    for kept in data {
        assert_eq!(new.span(day(kept)), old.span(day(kept)), "{kept}");
    }
    for changed in ["2024-06-13", "2029-12-29", "2030-01-03"] {
        assert_ne!(new.span(day(changed)), old.span(day(changed)), "{changed}");
    }
}

#[test]
fn rules_that_correct_the_past_change_nothing() {
    let old = Calendar::of(rules("2023c", "Etc/GMT-5"));
    let outcome = old.update(&almaty(), time("2025-01-01T00:00:00Z"), &BTreeSet::new());
    assert_eq!(outcome, RulesUpdate::PastDays);
}

#[test]
fn newer_rules_with_the_same_days_change_nothing() {
    let old = Calendar::of(rules("2023c", "Europe/Kiev"));
    let outcome =
        old.update(&rules("2025b", "Europe/Kyiv"), time("2025-01-01T00:00:00Z"), &BTreeSet::new());
    assert_eq!(outcome, RulesUpdate::Nothing);
}

#[test]
fn rules_that_are_not_newer_take_nothing_back() {
    let now = "2024-06-08T00:00:00Z";
    let (_, new) = updated(&almaty_until_2023(), &almaty(), now, &[]);
    for older in [rules("2023c", "Asia/Omsk"), rules("2024a", "Asia/Omsk"), rules("", "Asia/Omsk")]
    {
        assert_eq!(new.update(&older, time(now), &BTreeSet::new()), RulesUpdate::Nothing);
    }
}

#[test]
fn a_change_that_has_not_begun_is_replaced_by_a_newer_one() {
    let berlin = Calendar::of(rules("2024a", "Europe/Berlin"));
    let (_, later) =
        updated(&berlin, &rules("2024b", "Europe/Moscow"), "2024-06-08T00:00:00Z", &[]);
    let (from, newest) =
        updated(&later, &rules("2025a", "Europe/Berlin"), "2024-06-08T00:00:00Z", &[]);
    assert_eq!(from, "2024-06-10");
    assert!(newest.agrees_on(days(day("2024-01-01"), day("2026-01-01")), &berlin));
}

const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "Asia/Almaty",
    "Asia/Omsk",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "Pacific/Apia",
];
const RELEASES: [&str; 5] = ["", "2023c", "2024a", "2024b", "2025a"];

proptest! {
    /// Programs with different databases start one after the other, while data come, now and then of days far ahead.
    #[test]
    fn a_day_keeps_its_bounds_once_it_has_data_or_is_about_to_begin(
        first in (0_usize..5, 0_usize..7),
        steps in prop::collection::vec((0_usize..5, 0_usize..7, 0_i64..200, 0_i32..60), 1..8),
    ) {
        let named = |(release, zone): (usize, usize)| rules(RELEASES[release], ZONES[zone]);
        let mut calendar = Calendar::of(named(first));
        let (mut now, mut data) = (time("2026-03-01T00:00:00Z"), BTreeSet::new());
        for (release, zone, hours, ahead) in steps {
            now = now.saturating_add(hours * 3600 * SECOND_US);
            // The last day that begins too soon to be changed. A day may last longer than that where clocks change by a day.
            let settled = calendar.span_at(now.saturating_add(LEAD_US)).day;
            data.insert(calendar.span_at(now.saturating_add(i64::from(ahead) * DAY_US)).day);
            let own = named((release, zone));
            let outcome = calendar.update(&own, now, &data);
            if own.release() <= calendar.newest_release() {
                prop_assert_eq!(&outcome, &RulesUpdate::Nothing);
            }
            let RulesUpdate::From { day, calendar: updated } = outcome else { continue };
            prop_assert!(day > settled);
            let begun = days(settled.plus(-100), settled.plus(-1));
            prop_assert!(updated.agrees_on(data.iter().copied().chain(begun), &calendar));
            prop_assert_eq!(updated.span(settled).start, calendar.span(settled).start);
            // Whoever has the same database changes nothing any more.
            prop_assert_eq!(updated.update(&own, now, &data), RulesUpdate::Nothing);
            prop_assert_eq!(calendar.settled_days(&updated, now), BTreeSet::new());
            // Nor do days that have begun meanwhile, where the change comes into force later than it was made.
            now = now.saturating_add(hours * 3600 * SECOND_US);
            data.extend(calendar.settled_days(&updated, now));
            let updated = updated.keeping(&calendar, &data);
            prop_assert_eq!(calendar.settled_days(&updated, now), BTreeSet::new());
            let begun = days(settled, calendar.span_at(now).day);
            prop_assert!(updated.agrees_on(begun, &calendar));
            let far = day.plus(200);
            let by_own = Calendar::of(own);
            prop_assert_eq!(updated.span(far), by_own.span(far));
            calendar = updated;
        }
    }

    #[test]
    fn days_that_are_kept_are_as_before_and_the_others_are_not(
        zones in (0_usize..7, 0_usize..7),
        kept in prop::collection::btree_set(20_000_i32..20_100, 0..6),
    ) {
        let [earlier, later] = [zones.0, zones.1].map(|zone| Calendar::of(rules("", ZONES[zone])));
        let kept: BTreeSet<Day> = kept.into_iter().map(Day::from_days).collect();
        let mixed = later.keeping(&earlier, &kept);
        prop_assert!(mixed.agrees_on(kept.iter().copied(), &earlier));
        let is_far = |day: &Day| kept.iter().all(|kept| (kept.days() - day.days()).abs() > 5);
        let far = days(Day::from_days(19_990), Day::from_days(20_110)).filter(is_far);
        prop_assert!(mixed.agrees_on(far, &later));
    }
}
