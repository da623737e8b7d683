//! Days: calendar days in the pipeline's time zone, of 23, 24 or 25 hours as the zone's clocks go.
//!
//! A day runs from its first instant to the first instant of the next, so that days tile time even where
//! clocks are set across midnight or a date is skipped (such a day has no instants).
//!
//! `day` has days and their spans, `rules` what the clocks of a zone show by one release of the time-zone database. A
//! [`Calendar`] is made of such rules, each from a day on, since governments change them: `update` decides from which day
//! on newer rules count, so that days with data keep their bounds.

mod day;
mod rules;
mod update;

use std::sync::Arc;

pub use self::day::{Day, DaySpan};
pub use self::rules::{BadRules, TzRelease, UnknownTimeZone, ZoneRules};
pub use self::update::RulesUpdate;
use crate::time::{DAY_US, Timestamp};

/// How many days after a change of rules a day may begin before one of those that the earlier rules began: clocks differ from UTC
/// by less than 26 hours, and so by less than 3 days between any two rules.
const SEAM_DAYS: i32 = 3;

/// The days of one time zone: the rules that count first, and those that follow them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    first: ZoneRules,
    /// In the order of their days.
    changes: Arc<[RulesChange]>,
}

/// Rules that count from a day on: its first instant is the first that follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesChange {
    /// The first day.
    pub from: Day,
    /// The rules.
    pub rules: ZoneRules,
}

/// Changes of rules whose days do not ascend.
#[derive(Debug, thiserror::Error)]
#[error("rules from {0} on are listed after rules from that day or a later one on")]
pub struct UnorderedChanges(Day);

impl Calendar {
    /// The days of the IANA zone `name`, by the database that is part of this program.
    pub fn new(name: &str) -> Result<Calendar, UnknownTimeZone> {
        ZoneRules::bundled(name).map(Calendar::of)
    }

    /// The days by `rules` alone.
    pub fn of(rules: ZoneRules) -> Calendar {
        Calendar { first: rules, changes: Arc::default() }
    }

    /// The days by `first`, and by `changes` from their days on.
    pub fn from_parts(
        first: ZoneRules,
        changes: Vec<RulesChange>,
    ) -> Result<Calendar, UnorderedChanges> {
        match changes.windows(2).find(|pair| pair[0].from >= pair[1].from) {
            Some(pair) => Err(UnorderedChanges(pair[1].from)),
            None => Ok(Calendar { first, changes: changes.into() }),
        }
    }

    /// The days of UTC.
    pub fn utc() -> Calendar {
        Calendar::new("UTC").expect("every release of the database has UTC")
    }

    /// The rules that count before the first change.
    pub fn first_rules(&self) -> &ZoneRules {
        &self.first
    }

    /// The changes of rules, in the order of their days.
    pub fn changes(&self) -> &[RulesChange] {
        &self.changes
    }

    /// The day that holds `time`, with its bounds.
    pub fn span_at(&self, time: Timestamp) -> DaySpan {
        let date_in_utc = i32::try_from(time.micros().div_euclid(DAY_US)).unwrap_or(i32::MAX);
        let rules = self.rules_of(Day::from_days(date_in_utc)).1;
        let mut span = self.span(rules.local_day(time));
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
        DaySpan { day, start: self.start(day), end: self.start(day.plus(1)) }
    }

    /// The first instant of `day`: by the rules that the day has, but never before a day that is earlier, as would be
    /// where rules change by more than a day.
    fn start(&self, day: Day) -> Timestamp {
        let (since, rules) = self.rules_of(day);
        let start = rules.first_instant(day);
        match since {
            Some(since) if day < since.plus(SEAM_DAYS) => {
                let earlier = (1..SEAM_DAYS).map(|days| day.plus(-days));
                let earlier = earlier.map(|day| self.rules_of(day).1.first_instant(day));
                earlier.fold(start, Timestamp::max)
            }
            _ => start,
        }
    }

    /// `time` as the zone's clocks show it, with their offset from UTC: `2025-04-06T04:00:00+03:00`.
    pub fn local_text(&self, time: Timestamp) -> String {
        self.rules_of(self.span_at(time).day).1.local_text(time)
    }

    /// The rules of `day`, and the day since which they count, if others counted before.
    fn rules_of(&self, day: Day) -> (Option<Day>, &ZoneRules) {
        match self.changes.iter().rfind(|change| change.from <= day) {
            Some(change) => (Some(change.from), &change.rules),
            None => (None, &self.first),
        }
    }
}

#[cfg(test)]
mod tests;
