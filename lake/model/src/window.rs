//! Tumbling windows of event time: half-open, `[start, end)`.

use std::fmt;

use crate::time::{SECOND_US, Timestamp};

/// The lengths of window that averages are kept over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowSize {
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    OneHour,
    /// The calendar day, of 24 hours but for clock changes.
    Day,
}

impl WindowSize {
    /// Every length, shortest first.
    pub const ALL: [WindowSize; 3] =
        [WindowSize::FiveMinutes, WindowSize::OneHour, WindowSize::Day];

    /// The length as tables and requests name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            WindowSize::FiveMinutes => "5m",
            WindowSize::OneHour => "1h",
            WindowSize::Day => "24h",
        }
    }

    /// Reads `5m`, `1h` or `24h`.
    pub fn parse(text: &str) -> Option<WindowSize> {
        WindowSize::ALL.into_iter().find(|size| size.as_str() == text)
    }

    /// The length of an undisturbed window in microseconds.
    pub const fn micros(self) -> i64 {
        match self {
            WindowSize::FiveMinutes => 300 * SECOND_US,
            WindowSize::OneHour => 3600 * SECOND_US,
            WindowSize::Day => 86_400 * SECOND_US,
        }
    }
}

impl fmt::Display for WindowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// Its length.
    pub size: WindowSize,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Window {
    /// Whether `time` is in the window.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for size in WindowSize::ALL {
            assert_eq!(WindowSize::parse(size.as_str()), Some(size));
        }
        assert_eq!(WindowSize::parse("5M"), None);
    }

    #[test]
    fn a_window_holds_its_first_instant_and_not_the_one_after_it() {
        let [before, start, last, end] =
            [-1, 0, 299_999_999, 300_000_000].map(Timestamp::from_micros);
        let window = Window { size: WindowSize::FiveMinutes, start, end };
        assert!(window.contains(start) && window.contains(last));
        assert!(!window.contains(before) && !window.contains(end));
    }

    #[test]
    fn lengths_are_as_named() {
        let named = WindowSize::ALL.map(|size| (size.to_string(), size.micros() / SECOND_US));
        let expected = [("5m", 300), ("1h", 3600), ("24h", 86_400)];
        assert_eq!(named, expected.map(|(name, seconds)| (name.to_owned(), seconds)));
    }
}
