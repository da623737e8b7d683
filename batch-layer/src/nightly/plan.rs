//! What a run does with each day, and why.

use std::fmt;

use lake_delta::TableState;
use lake_model::Day;
use lake_model::finalization::DayDecision;
use lake_tables::batch_runs::BatchRun;

use crate::days::{self, KnownDay};

/// The days that a run looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayFilter {
    /// The first of them; no bound without it.
    pub from: Option<Day>,
    /// The last of them; no bound without it.
    pub to: Option<Day>,
}

impl DayFilter {
    /// Looks at one day.
    pub fn only(day: Day) -> DayFilter {
        DayFilter { from: Some(day), to: Some(day) }
    }

    /// Whether the run looks at every day.
    pub fn is_unbounded(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// The day, if it is one that is asked for by name.
    pub(super) fn named(&self) -> Option<Day> {
        self.from.filter(|from| Some(*from) == self.to)
    }

    /// Whether the run looks at `day`.
    pub fn contains(&self, day: Day) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// A day with what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedDay {
    /// The day.
    pub day: Day,
    /// What becomes of it.
    pub decision: DayDecision,
    /// Its rows in `events`.
    pub event_rows: u64,
}

impl PlannedDay {
    pub(super) fn of(day: &KnownDay, decision: DayDecision) -> PlannedDay {
        PlannedDay { day: day.facts.span.day, decision, event_rows: day.facts.event_rows }
    }
}

impl fmt::Display for PlannedDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlannedDay { day, decision, event_rows } = self;
        match decision {
            DayDecision::Recompute(reason) => {
                write!(f, "{day}  recompute  {}, {event_rows} rows", reason.as_str())
            }
            DayDecision::Clean => write!(f, "{day}  clean      {event_rows} rows"),
            DayDecision::Open { closes_at } => {
                write!(f, "{day}  open       until {closes_at}, {event_rows} rows")
            }
            DayDecision::Frozen => {
                write!(f, "{day}  frozen     its events are dropped or quarantined")
            }
            DayDecision::Empty => write!(f, "{day}  empty      no events"),
        }
    }
}

/// The day as it is once `unrecorded` runs are recorded.
pub(super) fn with_unrecorded(
    mut day: KnownDay,
    avg_speed: &TableState,
    unrecorded: &[BatchRun],
) -> KnownDay {
    let facts = &mut day.facts;
    if let Some(run_id) = days::final_day(avg_speed, facts.span.day).and_then(|day| day.run_id)
        && let Some(run) =
            unrecorded.iter().find(|run| run.run_id == run_id && run.day() == facts.span.day)
    {
        facts.last_run_rows = u64::try_from(run.rows_read).ok();
    }
    day
}
