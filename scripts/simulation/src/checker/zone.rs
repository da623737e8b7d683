//! Days and windows of the pipeline's time zone, by `jiff`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::violation::Violation;

const SECOND_US: i64 = 1_000_000;

/// A time zone.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

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
        TimeZone::get(name).map(Zone).map_err(unknown)
    }

    /// The day that holds an instant.
    pub(super) fn day_of(&self, at_us: i64) -> Date {
        let timestamp = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::MAX);
        timestamp.to_zoned(self.0.clone()).date()
    }

    /// The first instant of a day and the first one after it.
    pub(super) fn bounds_of(&self, day: Date) -> (i64, i64) {
        let first = |day: Date| {
            let start = day.to_zoned(self.0.clone()).and_then(|noon| noon.start_of_day());
            start.map_or(i64::MAX, |start| start.timestamp().as_microsecond())
        };
        (first(day), first(day.tomorrow().unwrap_or(Date::MAX)))
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
