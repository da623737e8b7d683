//! What state a day is in (clean, dirty, frozen, not final), when it closes, and which days the batch therefore
//! recomputes: closed by the clock, and not final or dirty. Whoever needs one of these notions asks here.

use crate::calendar::DaySpan;
use crate::table_version::TableVersion;
use crate::time::Timestamp;

/// What the tables hold of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayFacts {
    /// The day and its bounds.
    pub span: DaySpan,
    /// Rows of the day in `events` at the pinned version, by file statistics.
    pub event_rows: u64,
    /// Whether the day's rows in `avg_speed` are final.
    pub is_final: bool,
    /// `rows_read` of the day's last run in `batch_runs`, if any is recorded.
    pub last_run_rows: Option<u64>,
    /// Whether retention has dropped the day's events.
    pub dropped: bool,
    /// The version of `events` that the final rows were computed from, if that is known.
    pub computed_from: Option<TableVersion>,
    /// Which files of the day were quarantined.
    pub quarantine: QuarantinedFiles,
}

/// What quarantine took of a day, as versions of `events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantinedFiles {
    /// The last one that took a file of the day.
    pub last: Option<TableVersion>,
    /// The last one that took a file and left the day none.
    pub emptied: Option<TableVersion>,
}

/// The state of a day by the tables alone, whatever the clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayState {
    /// It is final, and nothing landed in it since.
    Clean,
    /// It is final, and events landed in it or were quarantined since, or no run of it is recorded.
    Dirty,
    /// Its events were dropped by retention, or quarantined to the last file.
    Frozen,
    /// It has no events, and retention has not dropped any.
    Empty,
    /// It has events, and is not final.
    NotFinal,
}

impl DayFacts {
    /// The state of the day.
    pub fn state(&self) -> DayState {
        if self.dropped || self.were_computed_before(self.quarantine.emptied) {
            DayState::Frozen
        } else if self.event_rows == 0 {
            DayState::Empty
        } else if !self.is_final {
            DayState::NotFinal
        } else if self.last_run_rows != Some(self.event_rows)
            || self.were_computed_before(self.quarantine.last)
        {
            DayState::Dirty
        } else {
            DayState::Clean
        }
    }

    /// Whether there are final rows, of events that are not all there any more since `removal`.
    fn were_computed_before(&self, removal: Option<TableVersion>) -> bool {
        let is_before = |removal| self.computed_from.is_none_or(|version| version < removal);
        self.is_final && removal.is_some_and(is_before)
    }

    /// When the day closes: `close_after_us` microseconds after its end.
    pub fn closes_at(&self, close_after_us: i64) -> Timestamp {
        self.span.end.saturating_add(close_after_us)
    }
}

/// What becomes of a day in a batch run.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayDecision {
    /// It is recomputed, for that reason.
    Recompute(Reason),
    /// It is final and nothing landed in it since.
    Clean,
    /// It may not be made final before that instant.
    Open {
        /// When the day closes.
        closes_at: Timestamp,
    },
    /// Its events are gone: its final rows stay as they are.
    Frozen,
    /// It holds no events.
    Empty,
}

/// Why a day is recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was never final.
    NotFinal,
    /// Events landed in it or were quarantined after it was made final, or no run of it is recorded.
    Dirty,
    /// It is clean, and the run was asked to recompute clean days.
    Forced,
}

impl Reason {
    /// The reason in words for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::NotFinal => "not final",
            Reason::Dirty => "dirty",
            Reason::Forced => "forced",
        }
    }
}

/// Decides for one day at the instant `now`. A day closes `close_after_us` microseconds after its end;
/// nothing makes an open day final.
pub fn decide(facts: &DayFacts, now: Timestamp, close_after_us: i64, force: bool) -> DayDecision {
    let closes_at = facts.closes_at(close_after_us);
    match facts.state() {
        DayState::Frozen => DayDecision::Frozen,
        DayState::Empty => DayDecision::Empty,
        _ if now < closes_at => DayDecision::Open { closes_at },
        DayState::NotFinal => DayDecision::Recompute(Reason::NotFinal),
        DayState::Dirty => DayDecision::Recompute(Reason::Dirty),
        DayState::Clean if force => DayDecision::Recompute(Reason::Forced),
        DayState::Clean => DayDecision::Clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Day};

    const CLOSE_AFTER_US: i64 = 4 * 3_600_000_000;

    fn facts(is_final: bool, last_run_rows: Option<u64>) -> DayFacts {
        let span = Calendar::utc().span(Day::from_days(20_000));
        DayFacts {
            span,
            event_rows: 10,
            is_final,
            last_run_rows,
            dropped: false,
            computed_from: Some(TableVersion(7)),
            quarantine: QuarantinedFiles::default(),
        }
    }

    fn decided(facts: &DayFacts, after_close_us: i64, force: bool) -> DayDecision {
        let now = facts.span.end.saturating_add(CLOSE_AFTER_US + after_close_us);
        decide(facts, now, CLOSE_AFTER_US, force)
    }

    #[test]
    fn a_day_closes_exactly_close_after_its_end_and_no_force_opens_it_sooner() {
        let facts = facts(false, None);
        assert_eq!(decided(&facts, 0, false), DayDecision::Recompute(Reason::NotFinal));
        assert!(matches!(decided(&facts, -1, true), DayDecision::Open { .. }));
    }

    #[test]
    fn a_final_day_is_dirty_when_its_rows_changed_or_no_run_is_recorded() {
        assert_eq!(decided(&facts(true, Some(10)), 0, false), DayDecision::Clean);
        assert_eq!(decided(&facts(true, Some(9)), 0, false), DayDecision::Recompute(Reason::Dirty));
        assert_eq!(decided(&facts(true, None), 0, false), DayDecision::Recompute(Reason::Dirty));
    }

    #[test]
    fn force_recomputes_clean_days_and_never_frozen_ones() {
        let clean = facts(true, Some(10));
        assert_eq!(decided(&clean, 0, true), DayDecision::Recompute(Reason::Forced));
        assert_eq!(decided(&DayFacts { dropped: true, ..clean }, 0, true), DayDecision::Frozen);
    }

    #[test]
    fn a_final_day_is_dirty_while_its_rows_are_older_than_a_quarantine_however_many_there_are() {
        let quarantined_in = |version| QuarantinedFiles {
            last: Some(TableVersion(version)),
            ..QuarantinedFiles::default()
        };
        let clean = facts(true, Some(10));
        let state = |version| DayFacts { quarantine: quarantined_in(version), ..clean }.state();
        assert_eq!([6, 7, 8].map(state), [DayState::Clean, DayState::Clean, DayState::Dirty]);
        let unknown = DayFacts { computed_from: None, quarantine: quarantined_in(1), ..clean };
        assert_eq!(unknown.state(), DayState::Dirty);
        assert_eq!(DayFacts { is_final: false, ..unknown }.state(), DayState::NotFinal);
    }

    #[test]
    fn final_rows_of_events_that_were_quarantined_to_the_last_file_are_frozen_and_later_ones_not() {
        let emptied_in = |version| {
            let version = Some(TableVersion(version));
            let quarantine = QuarantinedFiles { last: version, emptied: version };
            DayFacts { event_rows: 0, quarantine, ..facts(true, Some(10)) }
        };
        assert_eq!(emptied_in(8).state(), DayState::Frozen);
        let refilled = |version| DayFacts { event_rows: 10, ..emptied_in(version) };
        assert_eq!(refilled(8).state(), DayState::Frozen);
        assert_eq!(refilled(7).state(), DayState::Clean);
        assert_eq!(DayFacts { is_final: false, ..refilled(8) }.state(), DayState::NotFinal);
        assert_eq!(DayFacts { is_final: false, ..emptied_in(8) }.state(), DayState::Empty);
    }

    #[test]
    fn a_day_without_events_is_empty_however_it_is_asked_for() {
        let empty = DayFacts { event_rows: 0, ..facts(false, None) };
        assert_eq!(decided(&empty, 0, true), DayDecision::Empty);
        assert_eq!(decided(&empty, -1, false), DayDecision::Empty);
    }

    #[test]
    fn reasons_are_told_apart_in_words() {
        let reasons = [Reason::NotFinal, Reason::Dirty, Reason::Forced];
        assert_eq!(reasons.map(Reason::as_str), ["not final", "dirty", "forced"]);
    }
}
