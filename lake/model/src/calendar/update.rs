//! From which day on newer rules of the zone count.
//!
//! Days that have begun, or have data, keep the bounds that they have: rows, windows and files were made with them. So newer
//! rules count from a day that is well ahead, and the days with data beyond it (of events with a time far in the future)
//! keep the rules that they had. Corrections of the past change nothing.
//!
//! Which rules are newer is said by the release of the time-zone database, so that of two programs with different ones the
//! newer prevails, and the other does not take it back.

use std::collections::BTreeSet;

use super::{Calendar, Day, RulesChange, ZoneRules};
use crate::time::{SECOND_US, Timestamp};

/// How long before a day begins its bounds are settled: longer than clocks differ, and than the day before lasts.
const LEAD_US: i64 = 36 * 3600 * SECOND_US;
/// The days around one that keeps its rules that have to keep them too: its end is the start of the next, and rules by which the
/// two before it began later must not move its start.
const NEIGHBOURS: std::ops::RangeInclusive<i32> = -2..=1;
/// 2100-01-01: up to here rules are compared; beyond, they go on as they are.
const LAST_COMPARED: Day = Day::from_days(47_482);
const YEAR_1970: Day = Day::from_days(0);

/// What newer rules of the zone change.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesUpdate {
    /// Nothing: they are not newer, or have the same days.
    Nothing,
    /// Days in the past alone, which keep their bounds.
    PastDays,
    /// Days from this one on.
    From {
        /// The first day that begins at another instant.
        day: Day,
        /// The days from now on.
        calendar: Calendar,
    },
}

impl Calendar {
    /// What `rules` change as of `now`, where `days_with_data` keep their bounds.
    pub fn update(
        &self,
        rules: &ZoneRules,
        now: Timestamp,
        days_with_data: &BTreeSet<Day>,
    ) -> RulesUpdate {
        if rules.release() <= self.newest_release() {
            return RulesUpdate::Nothing;
        }
        let first = self.last_settled(now).plus(1);
        let updated = |from| self.with_rules_from(from, rules).keeping(self, days_with_data);
        let newest = updated(first);
        let changed = days(first, LAST_COMPARED).find(|day| newest.start(*day) != self.start(*day));
        if let Some(day) = changed {
            return RulesUpdate::From { day, calendar: updated(day) };
        }
        let differs = |day: Day| rules.first_instant(day) != self.start(day);
        if days(YEAR_1970, first).any(differs) {
            RulesUpdate::PastDays
        } else {
            RulesUpdate::Nothing
        }
    }

    /// The days that have begun as of `now`, or are about to, and that begin at another instant by `newer`.
    pub fn settled_days(&self, newer: &Calendar, now: Timestamp) -> BTreeSet<Day> {
        let differing = newer.changes.iter().filter(|change| !self.changes.contains(change));
        let Some(first) = differing.map(|change| change.from).min() else {
            return BTreeSet::new();
        };
        let settled = days(first, self.last_settled(now));
        settled.filter(|day| self.start(*day) != newer.start(*day)).collect()
    }

    /// This calendar, but with `days` as `earlier` has them.
    #[must_use]
    pub fn keeping(&self, earlier: &Calendar, days: &BTreeSet<Day>) -> Calendar {
        let around = |day: &Day| NEIGHBOURS.map(|distance| day.plus(distance)).collect::<Vec<_>>();
        let kept: BTreeSet<Day> = days.iter().flat_map(around).collect();
        let kept = stretches(&kept).into_iter();
        let kept: Vec<(Day, Day)> = kept
            .filter(|(first, last)| {
                self::days(*first, *last).any(|day| self.start(day) != earlier.start(day))
            })
            .collect();
        let of_both = self.changes.iter().chain(&*earlier.changes).map(|change| change.from);
        let seams: BTreeSet<Day> =
            of_both.chain(kept.iter().flat_map(|(first, last)| [*first, last.plus(1)])).collect();
        let is_kept = |day: Day| kept.iter().any(|(first, last)| *first <= day && day <= *last);
        let mut changes: Vec<RulesChange> = Vec::new();
        for from in seams {
            let rules =
                if is_kept(from) { earlier.rules_of(from).1 } else { self.rules_of(from).1 };
            if changes.last().map_or(&self.first, |last| &last.rules) != rules {
                changes.push(RulesChange { from, rules: rules.clone() });
            }
        }
        Calendar { first: self.first.clone(), changes: changes.into() }
    }

    /// Whether each of `days` has the same bounds by both.
    pub fn agrees_on(&self, days: impl IntoIterator<Item = Day>, other: &Calendar) -> bool {
        days.into_iter().all(|day| self.span(day) == other.span(day))
    }

    /// The last day that begins too soon for its bounds to change.
    fn last_settled(&self, now: Timestamp) -> Day {
        self.span_at(now.saturating_add(LEAD_US)).day
    }

    fn with_rules_from(&self, from: Day, rules: &ZoneRules) -> Calendar {
        let before = self.changes.iter().filter(|change| change.from < from).cloned();
        let change = RulesChange { from, rules: rules.clone() };
        Calendar { first: self.first.clone(), changes: before.chain([change]).collect() }
    }

    fn newest_release(&self) -> &super::TzRelease {
        let later = self.changes.iter().map(|change| change.rules.release());
        later.fold(self.first.release(), Ord::max)
    }
}

/// The days from `first` to `last`, both included.
fn days(first: Day, last: Day) -> impl Iterator<Item = Day> {
    (first.days()..=last.days()).map(Day::from_days)
}

/// The first and the last day of each stretch of days that follow one another.
fn stretches(days: &BTreeSet<Day>) -> Vec<(Day, Day)> {
    let mut found: Vec<(Day, Day)> = Vec::new();
    for day in days {
        match found.last_mut() {
            Some((_, last)) if last.plus(1) == *day => *last = *day,
            _ => found.push((*day, *day)),
        }
    }
    found
}

#[cfg(test)]
mod tests;
