//! The timestamps of Kafka's records, as far as they can be used.
//!
//! Nobody checks what a producer puts into a record's timestamp: there may be none, or one in microseconds where Kafka
//! means milliseconds. Such a record is as good as any other. Its timestamp counts as absent, and [`ABSENT`] stands for it
//! in the tables, so that every timestamp there is one that all readers can show.

use crate::Timestamp;

/// What stands for a timestamp that is absent: 1970-01-01T00:00:00Z.
pub const ABSENT: Timestamp = Timestamp::from_micros(0);
/// 9999-01-01T00:00:00Z. Neither Kafka's timestamps nor event times go beyond it: the days and windows around them end within
/// the year 9999, the last one that RFC 3339 and many readers know.
pub const LATEST: Timestamp = Timestamp::from_micros(253_370_764_800_000_000);

/// The timestamp of a record that has this one, in milliseconds since 1970; [`ABSENT`] if it is not after 1970, or is after
/// [`LATEST`].
#[inline]
pub const fn usable(millis: i64) -> Timestamp {
    if millis > 0 && millis <= LATEST.micros() / 1000 {
        Timestamp::from_millis(millis)
    } else {
        ABSENT
    }
}

/// The latest event time that is believed of a record with that timestamp, which producers' and cameras' clocks may be
/// `max_future_skew_us` behind. A record without a timestamp is believed up to [`LATEST`].
#[inline]
pub fn latest_event_time(kafka_timestamp: Timestamp, max_future_skew_us: i64) -> Timestamp {
    match kafka_timestamp {
        ABSENT => LATEST,
        known => known.saturating_add(max_future_skew_us).min(LATEST),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_timestamp_that_is_none_or_no_milliseconds_is_absent() {
        let now_ms = 1_743_840_000_000_i64;
        for usable_ms in [1, now_ms, LATEST.micros() / 1000] {
            assert_eq!(usable(usable_ms), Timestamp::from_micros(usable_ms * 1000));
        }
        let microseconds = now_ms * 1000;
        let nanoseconds = microseconds * 1000;
        let beyond = LATEST.micros() / 1000 + 1;
        for millis in
            [i64::MIN, -62_135_596_800_001, -1, 0, beyond, microseconds, nanoseconds, i64::MAX]
        {
            assert_eq!(usable(millis), ABSENT, "{millis}");
        }
    }

    #[test]
    fn event_times_are_believed_up_to_the_skew_and_never_beyond_the_last_year() {
        assert_eq!(LATEST, Timestamp::parse("9999-01-01T00:00:00Z").unwrap());
        let at = |micros| Timestamp::from_micros(micros);
        assert_eq!(latest_event_time(at(5_000), 600), at(5_600));
        assert_eq!(latest_event_time(LATEST, 600), LATEST);
        assert_eq!(latest_event_time(at(5_000), i64::MAX), LATEST);
        assert_eq!(latest_event_time(ABSENT, 600), LATEST);
    }
}
