//! The text form of an instant: RFC 3339.
//!
//! The reader is strict where general readers are lenient: a space for `T`, a comma, `+0300`, a zone in
//! brackets and second 60 are refused; lower-case `t` and `z`, `-00:00` and offsets up to ±23:59 are good.
//! What lies beyond microseconds is cut.

use std::fmt;

use super::civil::{civil_from_days, parse_date};
use super::pairs::{pairs, two_digits};
use super::{DAY_US, SECOND_US, Timestamp};

impl Timestamp {
    /// Reads the timestamp of an event: RFC 3339, not before 1970.
    pub fn parse_event(text: &str) -> Option<Timestamp> {
        Timestamp::parse_event_bytes(text.as_bytes())
    }

    /// Reads the timestamp of an event from bytes that need not be UTF-8, as [`Timestamp::parse_event`] does.
    pub fn parse_event_bytes(bytes: &[u8]) -> Option<Timestamp> {
        Timestamp::parse_bytes(bytes).filter(|time| time.0 >= 0)
    }

    /// Reads an RFC 3339 timestamp of any year from 0000 to 9999.
    pub fn parse(text: &str) -> Option<Timestamp> {
        Timestamp::parse_bytes(text.as_bytes())
    }

    fn parse_bytes(bytes: &[u8]) -> Option<Timestamp> {
        let date = parse_date(bytes.get(..10)?)?;
        if !matches!(bytes.get(10)?, b'T' | b't') {
            return None;
        }
        let seconds = parse_clock(bytes.get(11..19)?)?;
        let (micros, rest) = parse_fraction(bytes.get(19..)?)?;
        let offset_minutes = parse_offset(rest)?;
        let local = i64::from(date) * 86_400 + seconds;
        Some(Timestamp((local - offset_minutes * 60) * SECOND_US + micros))
    }
}

/// As RFC 3339 in UTC, with six digits of a second where there is a fraction.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_US));
        let in_day = self.0.rem_euclid(DAY_US);
        let (seconds, micros) = (in_day / SECOND_US, in_day % SECOND_US);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("Z")
    }
}

/// Seconds since midnight of `HH:MM:SS`.
fn parse_clock(bytes: &[u8]) -> Option<i64> {
    const CLOCK: u64 = u64::from_le_bytes(*b"00:00:00");
    let pairs = pairs::<CLOCK>(bytes.try_into().ok()?)?;
    let [hour, _, _, minute, _, _, second, _] = pairs.map(i64::from);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Microseconds of an optional fraction `.digits`, cut, and what follows it.
fn parse_fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    /// Microseconds of the last digit, by the number of digits.
    const LAST_DIGIT_US: [i64; 7] = [1_000_000, 100_000, 10_000, 1000, 100, 10, 1];
    const MICROS: u64 = u64::from_le_bytes(*b".000000Z");
    if let Some(pairs) = bytes.first_chunk().and_then(|text| pairs::<MICROS>(*text)) {
        let [_, high, _, middle, _, low, ..] = pairs.map(i64::from);
        return Some((high * 10_000 + middle * 100 + low, &bytes[7..]));
    }
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let kept = &rest[..digits.min(6)];
    let number = kept.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some((number * LAST_DIGIT_US[kept.len()], &rest[digits..]))
}

/// Minutes east of UTC of `Z` or `±HH:MM`.
fn parse_offset(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hour, minute) = (two_digits(h1, h2)?, two_digits(m1, m2)?);
            let minutes = i64::from(hour * 60 + minute);
            (hour < 24 && minute < 60).then_some(if sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_timestamps_are_read() {
        for (text, expected) in [
            ("2025-04-05T10:15:30Z", "2025-04-05T10:15:30Z"),
            ("2025-04-05t10:15:30z", "2025-04-05T10:15:30Z"),
            ("2025-04-05T10:15:30.1234569+03:00", "2025-04-05T07:15:30.123456Z"),
            ("2025-04-05T10:15:30-00:00", "2025-04-05T10:15:30Z"),
            ("2025-04-05T00:00:00+23:59", "2025-04-04T00:01:00Z"),
            ("2024-02-29T00:00:00.5Z", "2024-02-29T00:00:00.500000Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            let time = Timestamp::parse_event(text).map(|time| time.to_string());
            assert_eq!(time.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn bad_timestamps_are_refused() {
        for text in [
            "",
            "2025-04-05",
            "2025-04-05 10:15:30Z",
            "2025-04-05T10:15:30",
            "2025-04-05T10:15:60Z",
            "2025-04-05T10:60:30Z",
            "2025-04-05T24:00:00Z",
            "2025-04-05T10:15:30,5Z",
            "2025-04-05T10:15:30.Z",
            "2025-04-05T10:15:30+0300",
            "2025-04-05T10:15:30+03",
            "2025-04-05T10:15:30+24:00",
            "2025-04-05T10:15:30+03:60",
            "2025-04-05T10:15:30Z[UTC]",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-04-31T00:00:00Z",
            " 2025-04-05T10:15:30Z",
            "2025-04-05T10:15:30Z ",
            "+2025-04-05T10:15:30Z",
            "2025-04-05T1a:15:30Z",
            "２025-04-05T10:15:30Z",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00+00:01",
        ] {
            assert_eq!(Timestamp::parse_event(text), None, "{text:?} was accepted");
        }
    }

    #[test]
    fn times_of_any_year_are_read_where_no_event_is_meant() {
        assert!(Timestamp::parse("0000-01-01T00:00:00Z").is_some());
        assert!(Timestamp::parse("9999-12-31T23:59:59-23:59").is_some());
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59Z"), Some(Timestamp(-SECOND_US)));
    }

    /// A text that [`Timestamp::parse`] and jiff, which reads much more, are to agree on.
    fn jiff_instant(text: &str) -> Option<Timestamp> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp(time.as_nanosecond().div_euclid(1000).try_into().ok()?))
    }

    /// Whether a byte may stand where another one stands in a timestamp, as far as its form goes.
    fn is_alike(byte: u8, other: u8) -> bool {
        let is_sign = |byte| matches!(byte, b'+' | b'-');
        match other {
            b'0'..=b'9' => byte.is_ascii_digit(),
            b'T' | b'Z' => byte.eq_ignore_ascii_case(&other),
            b'+' => is_sign(byte),
            _ => byte == other,
        }
    }

    #[test]
    fn a_timestamp_with_another_byte_anywhere_is_of_another_instant_or_none() {
        for good in ["2025-04-05T10:15:31.234567Z", "2024-02-29T23:58:57.1+03:00"] {
            for (at, byte) in
                (0..good.len()).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte)))
            {
                let mut bytes = good.as_bytes().to_vec();
                bytes[at] = byte;
                let text = String::from_utf8_lossy(&bytes);
                let expected = is_alike(byte, good.as_bytes()[at]).then(|| jiff_instant(&text));
                assert_eq!(Timestamp::parse_bytes(&bytes), expected.flatten(), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn good_timestamps_are_the_instants_that_jiff_reads(
            text in "(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]\
                     ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?([Zz]|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9])",
        ) {
            prop_assert_eq!(Timestamp::parse(&text), jiff_instant(&text), "{}", text);
        }

        #[test]
        fn any_instant_of_four_digit_years_survives_a_round_trip(
            micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000,
        ) {
            let text = Timestamp(micros).to_string();
            prop_assert_eq!(Timestamp::parse(&text), Some(Timestamp(micros)));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*") {
            let _ = Timestamp::parse(&text);
        }

        #[test]
        fn a_damaged_timestamp_never_panics(at in 0_usize..25, with in any::<char>()) {
            let mut text: Vec<char> = "2025-04-05T10:15:30+03:00".chars().collect();
            text[at] = with;
            let _ = Timestamp::parse(&text.into_iter().collect::<String>());
        }
    }
}
