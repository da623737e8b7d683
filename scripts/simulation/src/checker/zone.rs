//! Days and windows of the pipeline's time zone, by `jiff`. Which of two releases of its rules a day has, the tables say.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use super::violation::Violation;

const SECOND_US: i64 = 1_000_000;

/// The days of a time zone: the rules that count first, and others from a day on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Zone {
    first: TimeZone,
    changes: Vec<(Date, TimeZone)>,
}

/// The zone of rules in a property, by the name of their release.
type ZoneOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A window of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    /// As the table names it.
    pub(super) size: &'static str,
    pub(super) start_us: i64,
    pub(super) end_us: i64,
}

impl Zone {
    pub(super) fn new(name: &str) -> Result<Zone, Box<Violation>> {
        let unknown = |error: jiff::Error| {
            Violation::unreadable("settings", format!("time zone {name}"), error.to_string())
        };
        let first = TimeZone::get(name).map_err(unknown)?;
        Ok(Zone { first, changes: Vec::new() })
    }

    /// The days by a value of the property `lambdalake.zoneRules`, of which only the releases count and not the rules.
    pub(super) fn of_property(text: &str, zone_of: ZoneOf<'_>) -> Option<Zone> {
        let stored: Value = serde_json::from_str(text).ok()?;
        let segments = stored["segments"].as_array()?.iter().map(|segment| {
            let place = usize::try_from(segment["rules"].as_u64()?).ok()?;
            let zone =
                TimeZone::get(&zone_of(stored["rules"][place]["release"].as_str()?)?).ok()?;
            let from = segment["from"].as_str().map(|from| from.parse::<Date>());
            Some((from.transpose().ok()?, zone))
        });
        let mut segments = segments.collect::<Option<Vec<_>>>()?.into_iter();
        let (_, first) = segments.next()?;
        let changes = segments.map(|(from, zone)| Some((from?, zone))).collect::<Option<_>>()?;
        Some(Zone { first, changes })
    }

    /// The day that holds an instant.
    pub(super) fn day_of(&self, at_us: i64) -> Date {
        let timestamp = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::MAX);
        let in_utc = timestamp.to_zoned(TimeZone::UTC).date();
        let near = [-2, -1, 0, 1, 2].map(|days| in_utc.saturating_add(days.days()));
        let holds = |day: &&Date| self.bounds_of(**day).0 <= at_us;
        near.iter().rfind(holds).copied().unwrap_or(in_utc)
    }

    /// The first instant of a day and the first one after it.
    pub(super) fn bounds_of(&self, day: Date) -> (i64, i64) {
        (self.start_of(day), self.start_of(day.tomorrow().unwrap_or(Date::MAX)))
    }

    /// A day begins by its own rules, but no earlier than the days before it.
    fn start_of(&self, day: Date) -> i64 {
        let before = [0, 1, 2].map(|days| day.saturating_sub(days.days()));
        let starts = before.map(|day| {
            let start = day.to_zoned(self.rules_of(day)).and_then(|noon| noon.start_of_day());
            start.map_or(i64::MAX, |start| start.timestamp().as_microsecond())
        });
        starts[0].max(starts[1]).max(starts[2])
    }

    fn rules_of(&self, day: Date) -> TimeZone {
        let change = self.changes.iter().rfind(|(from, _)| *from <= day);
        change.map_or(&self.first, |(_, zone)| zone).clone()
    }

    /// The windows that hold an instant: of five minutes, of an hour, of the day.
    pub(super) fn windows_at(&self, at_us: i64) -> [Window; 3] {
        let (start, end) = self.bounds_of(self.day_of(at_us));
        [("5m", 300 * SECOND_US), ("1h", 3600 * SECOND_US), ("24h", end - start)].map(
            |(size, length)| {
                let start_us = start + (at_us - start).div_euclid(length) * length;
                Window { size, start_us, end_us: (start_us + length).min(end) }
            },
        )
    }
}

/// An instant for people.
pub(super) fn shown(at_us: i64) -> String {
    Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(zone: &str, day: Date) -> i64 {
        let (start, end) = Zone::new(zone).expect("a zone").bounds_of(day);
        (end - start) / 3600 / SECOND_US
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        let date = jiff::civil::date;
        assert_eq!(hours("Europe/Berlin", date(2040, 3, 25)), 23);
        assert_eq!(hours("Europe/Berlin", date(2040, 10, 28)), 25);
        assert_eq!(hours("Asia/Kolkata", date(2040, 10, 28)), 24);
    }

    #[test]
    fn windows_tile_the_day_from_its_start() {
        let zone = Zone::new("Asia/Kolkata").expect("a zone");
        let start = zone.bounds_of(jiff::civil::date(2040, 6, 10)).0;
        let [five, hour, day] = zone.windows_at(start + 3_700 * SECOND_US);
        assert_eq!(five.start_us, start + 3_600 * SECOND_US);
        assert_eq!(hour.start_us, start + 3_600 * SECOND_US);
        assert_eq!((day.start_us, day.end_us - start), (start, 86_400 * SECOND_US));
    }
}
