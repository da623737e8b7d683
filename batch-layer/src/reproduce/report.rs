//! What was reproduced, for people.

use std::fmt;
use std::path::PathBuf;

use lake_model::Day;
use lake_tables::batch_runs::BatchRun;

use crate::day_events::DayEvents;

/// What was reproduced of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReproduceReport {
    /// The run.
    pub run_id: String,
    /// Its days.
    pub days: Vec<ReproducedDay>,
}

/// What was reproduced of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReproducedDay {
    /// The day.
    pub day: Day,
    /// What it came to.
    pub outcome: Outcome,
    /// Rows computed.
    pub rows_written: i64,
    /// Where the rows were written to.
    pub file: Option<PathBuf>,
}

/// What computing a day came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) rows_written: i64,
    pub(super) duplicates_dropped: i64,
    /// Rows that differ from those of `avg_speed`, where these are still the run's.
    pub(super) differing: Option<u64>,
}

/// How what was computed compares with what the run published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every row equals the one in `avg_speed` to the bit.
    AsPublished,
    /// The run's counts are met; `avg_speed` holds the rows of a later run by now.
    AsRecorded,
    /// So many rows differ from those in `avg_speed`.
    Differs(u64),
    /// Counts of the run are not met: events that it has seen are gone, or are there twice.
    Counts(Vec<Difference>),
}

/// A count of a run, and what it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The column of `batch_runs`.
    pub column: &'static str,
    /// What the run recorded.
    pub recorded: i64,
    /// What was found.
    pub found: i64,
}

impl ReproduceReport {
    /// Whether every day came to what the run published.
    pub fn is_ok(&self) -> bool {
        self.days.iter().all(|day| day.outcome.is_ok())
    }
}

impl Outcome {
    fn is_ok(&self) -> bool {
        matches!(self, Outcome::AsPublished | Outcome::AsRecorded)
    }
}

impl Found {
    /// How it compares with what `run` recorded and published, of which `day` are the events.
    pub(super) fn outcome(self, run: &BatchRun, day: &DayEvents) -> Outcome {
        let counts = [
            ("rows_read", run.rows_read, day.rows().cast_signed()),
            ("duplicates_dropped", run.duplicates_dropped, self.duplicates_dropped),
            ("late_rows", run.late_rows, day.late_rows().cast_signed()),
            ("cameras", run.cameras, i64::try_from(day.cameras().len()).unwrap_or(i64::MAX)),
            ("rows_written", run.rows_written, self.rows_written),
        ];
        let other = counts.into_iter().filter(|(_, recorded, found)| recorded != found);
        let other: Vec<Difference> =
            other.map(|(column, recorded, found)| Difference { column, recorded, found }).collect();
        match self.differing {
            _ if !other.is_empty() => Outcome::Counts(other),
            None => Outcome::AsRecorded,
            Some(0) => Outcome::AsPublished,
            Some(rows) => Outcome::Differs(rows),
        }
    }
}

impl fmt::Display for ReproduceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "run {}", self.run_id)?;
        for day in &self.days {
            write!(f, "{}  {} rows, {}", day.day, day.rows_written, day.outcome)?;
            if let Some(file) = &day.file {
                write!(f, "; written to {}", file.display())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::AsPublished => f.write_str("equal to avg_speed bit for bit"),
            Outcome::AsRecorded => {
                f.write_str("as batch_runs counts them; avg_speed holds the rows of a later run")
            }
            Outcome::Differs(rows) => write!(
                f,
                "DIFFERENT: {rows} rows are not those of avg_speed; were speed limits changed since?"
            ),
            Outcome::Counts(differences) => {
                f.write_str("NOT REPRODUCED: events that the run has seen are gone (retention, quarantine) or changed:")?;
                for Difference { column, recorded, found } in differences {
                    write!(f, " {column} was {recorded} and is {found};")?;
                }
                Ok(())
            }
        }
    }
}
