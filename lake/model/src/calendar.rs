//! Days: calendar days in the pipeline's time zone, of 23, 24 or 25 hours as the zone's clocks go.
//!
//! A day runs from its first instant to the first instant of the next, so that days tile time even where
//! clocks are set across midnight or a date is skipped (such a day has no instants).

use std::fmt;

use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::time::{self, DAY_US, Timestamp};
use crate::window::{Window, WindowSize};

/// A calendar day: days since 1970-01-01, as Delta and Arrow hold dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day that many days after 1970-01-01.
    pub const fn from_days(days: i32) -> Day {
        Day(days)
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Day> {
        time::parse_date(text.as_bytes()).map(Day)
    }

    /// The day `days` later.
    pub const fn plus(self, days: i32) -> Day {
        Day(self.0.saturating_add(days))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = time::civil_from_days(i64::from(self.0));
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A day with its first instant and the first instant after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DaySpan {
    /// The day.
    pub day: Day,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl DaySpan {
    /// Whether `time` is in the day.
    #[inline]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }

    /// The window of `size` that holds `time`, which is in the day. Windows tile the day from its start;
    /// the last one ends with the day.
    #[inline]
    pub fn window_at(&self, size: WindowSize, time: Timestamp) -> Window {
        self.window(size, self.window_index(size, time))
    }

    /// The place of the window of `size` that holds `time`, counted from 0 at the start of the day.
    #[inline]
    pub fn window_index(&self, size: WindowSize, time: Timestamp) -> u32 {
        let index = time.saturating_since(self.start).max(0) / self.step_us(size);
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// The window of `size` at that place in the day.
    #[inline]
    pub fn window(&self, size: WindowSize, index: u32) -> Window {
        let length = self.step_us(size);
        let start = self.start.saturating_add(length.saturating_mul(i64::from(index)));
        Window { size, start, end: start.saturating_add(length).min(self.end) }
    }

    /// The step in microseconds by which windows of `size` tile the day.
    #[inline]
    fn step_us(&self, size: WindowSize) -> i64 {
        match size {
            WindowSize::Day => self.end.saturating_since(self.start).max(1),
            WindowSize::FiveMinutes | WindowSize::OneHour => size.micros(),
        }
    }
}

/// 2100-01-01T00:00:00Z, in seconds since 1970.
const YEAR_2100_S: i64 = 4_102_444_800;

/// The days of one time zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
}

/// A time-zone name that the bundled IANA database does not hold.
#[derive(Debug, thiserror::Error)]
#[error("time zone {0:?} is not in the IANA database; names look like UTC or Europe/Moscow")]
pub struct UnknownTimeZone(String);

impl Calendar {
    /// The days of the IANA zone `name`.
    pub fn new(name: &str) -> Result<Calendar, UnknownTimeZone> {
        // Names in the database that stand for no place's clocks.
        let is_none = ["Etc/Unknown", "Factory"].iter().any(|none| none.eq_ignore_ascii_case(name));
        match TimeZone::get(name) {
            Ok(zone) if !is_none => Ok(Calendar { zone }),
            _ => Err(UnknownTimeZone(name.to_owned())),
        }
    }

    /// Whether both have the same days, whatever their zones are called: Europe/Kiev and Europe/Kyiv, or UTC and Etc/UTC.
    /// From 1970 to 2100, beyond which the rules of a zone go on as they are.
    pub fn has_days_of(&self, other: &Calendar) -> bool {
        self.offsets().eq(other.offsets())
    }

    /// The offset from UTC in 1970, and every change of it, in seconds since 1970.
    fn offsets(&self) -> impl Iterator<Item = (i64, i32)> + '_ {
        let first = jiff::Timestamp::UNIX_EPOCH;
        let changes = self.zone.following(first);
        let changes =
            changes.map(|change| (change.timestamp().as_second(), change.offset().seconds()));
        let mut offset = self.zone.to_offset(first).seconds();
        let first = std::iter::once((0, offset));
        // A zone may change its name or its summer time and leave the clocks as they are.
        first.chain(
            changes
                .take_while(|(at, _)| *at < YEAR_2100_S)
                .filter(move |(_, to)| std::mem::replace(&mut offset, *to) != *to),
        )
    }

    /// The days of UTC.
    pub fn utc() -> Calendar {
        Calendar { zone: TimeZone::UTC }
    }

    /// The day that holds `time`, with its bounds.
    pub fn span_at(&self, time: Timestamp) -> DaySpan {
        let mut span = self.span(self.local_day(time));
        while time < span.start {
            span = self.span(span.day.plus(-1));
        }
        while time >= span.end {
            span = self.span(span.day.plus(1));
        }
        span
    }

    /// The bounds of `day`.
    pub fn span(&self, day: Day) -> DaySpan {
        let (start, end) = (self.first_instant(day), self.first_instant(day.plus(1)));
        DaySpan { day, start, end }
    }

    /// The date that clocks show at `time`; near clock changes at midnight a neighbour of its day.
    fn local_day(&self, time: Timestamp) -> Day {
        let offset_us = jiff::Timestamp::from_microsecond(time.micros())
            .map_or(0, |timestamp| i64::from(self.zone.to_offset(timestamp).seconds()) * 1_000_000);
        let days = time.saturating_add(offset_us).micros().div_euclid(DAY_US);
        Day(i32::try_from(days).unwrap_or(i32::MAX - 1))
    }

    /// The first instant of `day`. Beyond the years that zone rules cover, midnight UTC.
    fn first_instant(&self, day: Day) -> Timestamp {
        let utc_midnight = Timestamp::from_micros(i64::from(day.days()).saturating_mul(DAY_US));
        self.zone_midnight(day).unwrap_or(utc_midnight)
    }

    fn zone_midnight(&self, day: Day) -> Option<Timestamp> {
        let (year, month, date) = time::civil_from_days(i64::from(day.days()));
        let date = jiff::civil::Date::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(date).ok()?,
        );
        let midnight = self.zone.to_ambiguous_timestamp(date.ok()?.at(0, 0, 0, 0));
        let timestamp = match midnight.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                midnight.earlier().ok()?
            }
            // Midnight does not exist: the day begins when clocks jump over it.
            AmbiguousOffset::Gap { .. } => {
                self.zone.following(midnight.earlier().ok()?).next()?.timestamp()
            }
        };
        Some(Timestamp::from_micros(timestamp.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND_US;
    use proptest::prelude::*;

    const HOUR_US: i64 = 3600 * SECOND_US;

    fn calendar(name: &str) -> Calendar {
        Calendar::new(name).expect("the zone is in the database")
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
            assert!(calendar(one).has_days_of(&calendar(other)), "{one} and {other}");
        }
        for (one, other) in [
            ("Europe/Moscow", "Europe/Volgograd"),
            ("Europe/Moscow", "Europe/Minsk"),
            ("Europe/London", "Europe/Lisbon"),
            ("UTC", "Africa/Abidjan"),
            ("Etc/GMT-3", "Europe/Moscow"),
            ("Asia/Almaty", "Asia/Aqtobe"),
        ] {
            let same = calendar(one).has_days_of(&calendar(other));
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
        let date = |zone| calendar(zone).local_day(evening).to_string();
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
            let _ = calendar("Asia/Tokyo").local_day(Timestamp::from_micros(micros));
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
            prop_assert_eq!(Day::parse(&Day(days).to_string()), Some(Day(days)));
        }
    }
}
