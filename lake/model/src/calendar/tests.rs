//! Days of single zones, and days where rules of a zone follow one another.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::time::SECOND_US;
use crate::window::WindowSize;
use proptest::prelude::*;

const HOUR_US: i64 = 3600 * SECOND_US;

fn calendar(name: &str) -> Calendar {
    Calendar::new(name).expect("the zone is in the database")
}

fn rules(name: &str) -> ZoneRules {
    ZoneRules::bundled(name).expect("the zone is in the database")
}

fn hours(zone: &str, day: &str) -> f64 {
    let span = calendar(zone).span(Day::parse(day).expect("a date"));
    span.end.saturating_since(span.start) as f64 / HOUR_US as f64
}

#[test]
fn names_of_one_zone_have_the_same_days_and_those_of_others_do_not() {
    for (one, other) in [
        ("Europe/Kiev", "Europe/Kyiv"),
        ("UTC", "Etc/UTC"),
        ("UTC", "Etc/GMT"),
        ("Zulu", "utc"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("US/Eastern", "America/New_York"),
        ("europe/moscow", "Europe/Moscow"),
    ] {
        assert!(rules(one).has_days_of(&rules(other)), "{one} and {other}");
    }
    for (one, other) in [
        ("Europe/Moscow", "Europe/Volgograd"),
        ("Europe/Moscow", "Europe/Minsk"),
        ("Europe/London", "Europe/Lisbon"),
        ("UTC", "Africa/Abidjan"),
        ("Etc/GMT-3", "Europe/Moscow"),
        ("Asia/Almaty", "Asia/Aqtobe"),
    ] {
        let same = rules(one).has_days_of(&rules(other));
        assert_eq!(same, (one, other) == ("UTC", "Africa/Abidjan"), "{one} and {other}");
    }
}

#[test]
fn a_name_that_stands_for_no_clocks_is_unknown() {
    for name in ["", "Etc/Unknown", "etc/unknown", "Factory", "Europe/Atlantis", "UTC+3"] {
        assert!(Calendar::new(name).is_err(), "{name}");
    }
}

#[test]
fn days_are_as_long_as_the_clocks_make_them() {
    assert_eq!(hours("UTC", "2025-03-30"), 24.0);
    assert_eq!(hours("Europe/Berlin", "2025-03-30"), 23.0);
    assert_eq!(hours("Europe/Berlin", "2025-10-26"), 25.0);
    assert_eq!(hours("Australia/Lord_Howe", "2025-10-05"), 23.5);
    assert_eq!(hours("America/Sao_Paulo", "2018-11-04"), 23.0);
    assert_eq!(hours("Pacific/Apia", "2011-12-30"), 0.0);
    assert_eq!(hours("Pacific/Apia", "2011-12-31"), 24.0);
}

#[test]
fn a_day_holds_its_first_instant_and_not_the_one_after_it() {
    let calendar = calendar("Europe/Berlin");
    let span = calendar.span(Day::parse("2025-03-30").expect("a date"));
    let [before, last] = [span.start, span.end].map(|bound| bound.saturating_add(-1));
    assert!(span.contains(span.start) && span.contains(last));
    assert!(!span.contains(before) && !span.contains(span.end));
    let day_of = |time| calendar.span_at(time).day.to_string();
    let days = [before, span.start, last, span.end].map(day_of);
    assert_eq!(days, ["2025-03-29", "2025-03-30", "2025-03-30", "2025-03-31"]);
}

#[test]
fn clocks_show_the_date_of_their_zone() {
    let evening = Timestamp::parse("2025-04-05T20:00:00Z").expect("an instant");
    let date = |zone| rules(zone).local_day(evening).to_string();
    assert_eq!(["UTC", "Asia/Tokyo"].map(date), ["2025-04-05", "2025-04-06"]);
}

#[test]
fn a_day_whose_midnight_is_skipped_begins_with_the_jump() {
    let span = calendar("America/Sao_Paulo").span(Day::parse("2018-11-04").expect("a date"));
    assert_eq!(span.start.to_string(), "2018-11-04T03:00:00Z");
}

#[test]
fn windows_follow_local_hours_and_the_last_one_ends_with_the_day() {
    let span = calendar("Australia/Lord_Howe").span(Day::parse("2025-10-05").expect("a date"));
    let last = span.window_at(WindowSize::OneHour, span.end.saturating_add(-1));
    assert_eq!((last.end, last.end.saturating_since(last.start)), (span.end, HOUR_US / 2));
    let berlin = calendar("Europe/Berlin").span(Day::parse("2025-10-26").expect("a date"));
    let whole = berlin.window_at(WindowSize::Day, berlin.start);
    assert_eq!((whole.start, whole.end), (berlin.start, berlin.end));
}

#[test]
fn unknown_zones_are_named() {
    let error = Calendar::new("Mars/Olympus").expect_err("no such zone");
    assert!(error.to_string().contains("Mars/Olympus"));
}

#[test]
fn the_ends_of_representable_time_have_days_too() {
    for micros in [i64::MAX, i64::MIN, 253_402_300_799_999_999, 253_402_387_139_000_000] {
        let _ = rules("Asia/Tokyo").local_day(Timestamp::from_micros(micros));
    }
    // Before the first instant that zone rules cover, New York's clocks show a date that begins later by them.
    let before_rules = jiff::Timestamp::MIN.as_microsecond() - 1;
    let ends = [before_rules, 0, 253_402_300_799_999_999, 253_402_387_139_000_000];
    for micros in ends {
        let time = Timestamp::from_micros(micros);
        for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
            assert!(calendar(zone).span_at(time).contains(time), "{zone} {micros}");
        }
    }
}

proptest! {
    #[test]
    fn every_instant_is_in_exactly_one_day_and_one_window_of_each_length(
        micros in 0_i64..4_102_444_800_000_000,
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe",
            "Pacific/Apia", "America/Goose_Bay", "Asia/Kathmandu", "Africa/Casablanca",
        ]),
    ) {
        let (calendar, time) = (calendar(zone), Timestamp::from_micros(micros));
        let span = calendar.span_at(time);
        prop_assert!(span.contains(time));
        prop_assert_eq!(calendar.span(span.day.plus(1)).start, span.end);
        prop_assert_eq!(calendar.span(span.day.plus(-1)).end, span.start);
        for size in WindowSize::ALL {
            let window = span.window_at(size, time);
            prop_assert!(window.contains(time));
            prop_assert!(span.start <= window.start && window.end <= span.end);
            let index = span.window_index(size, time);
            prop_assert_eq!(span.window(size, index), window);
            if window.end < span.end {
                prop_assert_eq!(span.window(size, index + 1).start, window.end);
            }
        }
    }

    #[test]
    fn days_survive_a_round_trip(days in 0_i32..2_932_896) {
        prop_assert_eq!(Day::parse(&Day::from_days(days).to_string()), Some(Day::from_days(days)));
    }

    #[test]
    fn days_tile_time_wherever_rules_change(
        zones in prop::collection::vec(prop::sample::select(ZONES.to_vec()), 2..6),
        seams in prop::collection::btree_set(0_i32..40, 5),
        at in 15_000_i32..50_000,
    ) {
        let calendar = changing(&zones, seams.into_iter().map(|days| Day::from_days(at + days)));
        let mut end = calendar.span(Day::from_days(at - 4)).start;
        for day in (at - 4..at + 48).map(Day::from_days) {
            let span = calendar.span(day);
            prop_assert_eq!(span.start, end);
            prop_assert!(span.start <= span.end);
            end = span.end;
            for time in [span.start, span.end.saturating_add(-1)] {
                prop_assert!(calendar.span_at(time).contains(time));
                prop_assert!(span.start == span.end || calendar.span_at(time) == span);
            }
        }
    }

    #[test]
    fn days_ascend_where_clocks_change_by_less_than_a_day(
        zones in prop::collection::vec(prop::sample::select(NEAR.to_vec()), 2..6),
        seams in prop::collection::btree_set(0_i32..40, 5),
        at in 15_000_i32..50_000,
    ) {
        let calendar = changing(&zones, seams.into_iter().map(|days| Day::from_days(at + days)));
        for day in (at - 4..at + 48).map(Day::from_days) {
            let span = calendar.span(day);
            prop_assert!(span.start < span.end);
            prop_assert_eq!(span.start, calendar.rules_of(day).1.first_instant(day));
        }
    }
}

/// Zones whose clocks differ by up to 26 hours, or skip a date.
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
];
/// Zones whose clocks differ by less than 24 hours.
const NEAR: [&str; 5] =
    ["UTC", "America/Adak", "Asia/Almaty", "Australia/Lord_Howe", "America/Sao_Paulo"];

/// The days by the rules of the first zone, and by those of each other one from the day on that belongs to it.
fn changing(zones: &[&str], from: impl Iterator<Item = Day>) -> Calendar {
    let changes =
        from.zip(&zones[1..]).map(|(from, zone)| RulesChange { from, rules: rules(zone) });
    Calendar::from_parts(rules(zones[0]), changes.collect()).unwrap()
}

#[test]
fn a_day_begins_by_its_own_rules_and_ends_by_those_of_the_next() {
    let day = Day::parse("2025-06-10").unwrap();
    let calendar = changing(&["Asia/Omsk", "Asia/Almaty"], [day].into_iter());
    let start = |day| calendar.span(day).start.to_string();
    assert_eq!(
        [day.plus(-1), day, day.plus(1)].map(start),
        ["2025-06-08T18:00:00Z", "2025-06-09T19:00:00Z", "2025-06-10T19:00:00Z"]
    );
    let last = calendar.span(day.plus(-1));
    let hours = last.end.saturating_since(last.start) / HOUR_US;
    assert_eq!(
        (hours, last.window_at(WindowSize::OneHour, last.end.saturating_add(-1)).end),
        (25, last.end)
    );
}

#[test]
fn changes_of_rules_ascend() {
    let change = |days| RulesChange { from: Day::from_days(days), rules: rules("UTC") };
    for days in [[7, 7], [8, 7]] {
        let changes = days.map(change).to_vec();
        assert!(Calendar::from_parts(rules("UTC"), changes).is_err(), "{days:?}");
    }
    let ascending = Calendar::from_parts(rules("UTC"), [7, 8].map(change).to_vec()).unwrap();
    assert_eq!(ascending.changes().iter().map(|it| it.from.days()).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn rules_are_read_back_from_their_bytes() {
    for zone in ["UTC", "Etc/GMT-3", "Europe/Volgograd", "America/Sao_Paulo"] {
        let written = rules(zone);
        let read = ZoneRules::from_tzif(written.release().clone(), written.tzif()).unwrap();
        assert!(read == written && read.has_days_of(&written), "{zone}");
    }
    for bytes in [&b""[..], b"TZif", b"no rules at all"] {
        assert!(ZoneRules::from_tzif(TzRelease::default(), bytes).is_err());
    }
}

#[test]
fn the_bundled_database_names_its_release() {
    let release = rules("UTC").release().clone();
    assert!(release > TzRelease::new("2024a"), "{release}");
}

#[test]
fn releases_of_the_database_are_in_the_order_of_their_dates() {
    let names = ["", "unknown", "1996a", "2023c", "2024a", "2024b", "2024z", "2024za", "2025a"];
    let releases = names.map(TzRelease::new);
    assert!(releases.is_sorted() && releases[2] > TzRelease::new("2024A"), "{releases:?}");
}

#[test]
fn local_text_is_what_the_clocks_show_with_their_offset() {
    let new_york = Calendar::new("America/New_York").unwrap();
    for (utc, local) in [
        ("2025-04-06T01:00:00Z", "2025-04-05T21:00:00-04:00"),
        ("2025-11-02T06:30:00Z", "2025-11-02T01:30:00-05:00"),
    ] {
        assert_eq!(new_york.local_text(Timestamp::parse(utc).unwrap()), local);
    }
    let utc = Timestamp::parse("2025-04-06T01:00:00Z").unwrap();
    assert_eq!(Calendar::utc().local_text(utc), "2025-04-06T01:00:00+00:00");
}
