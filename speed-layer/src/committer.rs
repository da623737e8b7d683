//! The tables with all that a commit to them needs: the names of offsets, the days of the pipeline, checkpoints when they
//! are due, and the metrics of commits.
//!
//! # Consistency
//! Whether a partition's work goes in is decided by [`publish`] on exactly the version that is committed on.
//!
//! # Crash consistency
//! Nothing is kept here that the tables do not hold: after an error the next commit decides on what the logs say.

use lake_config::Settings;
use lake_delta::{Lake, LakeError};
use lake_model::Calendar;
use lake_tables::Table;

use crate::checkpoints::Checkpoints;
use crate::publish::{PartitionCommit, Published, TableWork, publish};
use crate::tables::Tables;

/// Commits partitions' work to the tables, each partition fenced on its own (see [`publish`]).
#[derive(Debug)]
pub struct Committer {
    lake: Lake,
    tables: Tables,
    calendar: Calendar,
    checkpoints: Checkpoints,
}

impl Committer {
    /// Commits to `tables` what was computed by `calendar`.
    pub fn new(tables: Tables, calendar: &Calendar) -> Committer {
        let lake = tables.events.lake().clone();
        let checkpoints = Checkpoints::new(&lake);
        Committer { lake, tables, calendar: calendar.clone(), checkpoints }
    }

    /// Opens the tables that `settings` describe in `lake`, or creates those that are missing.
    ///
    /// # Errors
    /// A store that fails, and tables of another pipeline.
    pub async fn open(lake: &Lake, settings: &Settings) -> Result<Committer, LakeError> {
        let tables = Tables::open(lake, settings).await?;
        let calendar = tables.calendar()?;
        Ok(Committer::new(tables, &calendar))
    }

    /// Where the tables are.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The tables as they were followed last.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The days that work is computed by.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Goes over to the days by the rules in force, as the tables were followed last; returns whether they are others. If so,
    /// whatever was computed by the former ones must not be committed.
    ///
    /// # Errors
    /// The rules can't be read.
    pub fn follow_calendar(&mut self) -> Result<bool, LakeError> {
        let former = std::mem::replace(&mut self.calendar, self.tables.calendar()?);
        Ok(former != self.calendar)
    }

    /// The tables, to be followed further.
    pub fn tables_mut(&mut self) -> &mut Tables {
        &mut self.tables
    }

    /// Commits `work` to `table`, one of the four that the speed layer writes.
    ///
    /// # Errors
    /// A store that fails; then it is open whether the commit was made, and the next one finds out.
    pub async fn commit(&mut self, table: Table, work: &TableWork) -> Result<Published, LakeError> {
        if work.is_empty() {
            return Ok(Published::default());
        }
        let started = self.lake.now();
        let tables = &mut self.tables;
        let (log, operation) = match table {
            Table::Events => (&mut tables.events, "LAND EVENTS"),
            Table::DeadLetters => (&mut tables.dead_letters, "LAND DEAD LETTERS"),
            Table::OffsetGaps => (&mut tables.offset_gaps, "NOTE OFFSET GAPS"),
            Table::AvgSpeed => (&mut tables.avg_speed, "UPDATE PROVISIONAL AVERAGES"),
            Table::BatchRuns => unreachable!("the speed layer commits nothing there"),
        };
        let claims_alone = work.partitions.iter().all(PartitionCommit::is_claim);
        let operation = if claims_alone { "CLAIM PARTITIONS" } else { operation };
        let published = publish(log, &tables.app_ids, &self.calendar, operation, work).await?;
        self.checkpoints.after_commit(&self.lake, table, log.state().version());
        let ended = self.lake.now();
        metrics::histogram!("lambdalake_speed_commit_duration_seconds", "table" => table.as_str())
            .record(ended.saturating_since(started) as f64 / 1e6);
        metrics::gauge!("lambdalake_speed_last_commit_timestamp_seconds", "table" => table.as_str())
            .set(ended.micros() as f64 / 1e6);
        Ok(published)
    }
}

#[cfg(test)]
mod tests;
