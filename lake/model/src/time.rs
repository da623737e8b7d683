//! Instants: microseconds since 1970 in UTC, such as the time of an event.

mod civil;
mod pairs;
mod text;

pub(crate) use civil::{civil_from_days, parse_date};

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a day of 24 hours.
pub const DAY_US: i64 = 86_400 * SECOND_US;

/// An instant: whole microseconds since 1970-01-01T00:00:00Z. The event time of an event is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant that many microseconds after 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// The instant that many milliseconds after 1970-01-01T00:00:00Z, the nearest representable one
    /// if it is out of range.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis.saturating_mul(1000))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant `micros` microseconds later, the last representable one if there is none.
    pub const fn saturating_add(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this instant, the greatest number if they do not fit.
    pub const fn saturating_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_of_milliseconds_is_one_of_microseconds_or_the_nearest_there_is() {
        assert_eq!(Timestamp::from_millis(-7).micros(), -7000);
        assert_eq!(Timestamp::from_millis(i64::MAX).micros(), i64::MAX);
        assert_eq!(Timestamp::from_millis(86_400_000).micros(), DAY_US);
    }
}
