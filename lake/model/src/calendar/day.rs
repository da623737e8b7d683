//! A calendar day, and the instants between which it lies.

use std::fmt;

use crate::time::{self, Timestamp};
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
