//! What a run did and what it left, for people and for metrics.

use std::fmt;

use lake_model::finalization::{DayDecision, Reason};
use lake_model::{Day, Timestamp};
use lake_tables::batch_runs::BatchRun;
use serde_json::{Value, json};

use super::plan::PlannedDay;
use super::publish::Published;
use crate::faults::FileFault;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NightlyReport {
    /// Whether it only looked.
    pub dry_run: bool,
    /// Rows of `batch_runs` that runs before had not appended.
    pub repaired: usize,
    /// What becomes of each day asked for.
    pub planned: Vec<PlannedDay>,
    /// The days made final, as recorded in `batch_runs`.
    pub done: Vec<BatchRun>,
    /// Days that needed nothing any more once they were reached, with the reason.
    pub unneeded: Vec<(Day, String)>,
    /// Days that were to be recomputed and are not.
    pub left: Vec<LeftDay>,
}

/// A day that was to be recomputed and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftDay {
    /// The day.
    pub day: Day,
    /// Why, and what to do.
    pub reason: String,
    /// The data file that is at fault, if it is one.
    pub fault: Option<FileFault>,
}

impl NightlyReport {
    /// Whether every day that was to be recomputed is final.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn has_work(&self) -> bool {
        self.to_recompute().next().is_some()
    }

    pub(super) fn to_recompute(&self) -> impl Iterator<Item = (Day, Reason)> {
        self.planned.iter().filter_map(|planned| match planned.decision {
            DayDecision::Recompute(reason) => Some((planned.day, reason)),
            _ => None,
        })
    }

    /// Records in the metrics when a run has ended, and whether no day is due after it. Only a run that looks at every day
    /// knows that.
    pub(super) fn record_end(&self, now: Timestamp, looked_at_every_day: bool) {
        let seconds = now.micros() as f64 / 1e6;
        metrics::gauge!("lambdalake_batch_last_run_timestamp_seconds").set(seconds);
        if self.is_complete() && looked_at_every_day {
            metrics::gauge!("lambdalake_batch_last_success_timestamp_seconds").set(seconds);
        }
    }

    pub(super) fn leave_all(&mut self, reason: &str) {
        let days: Vec<Day> = self.to_recompute().map(|(day, _)| day).collect();
        days.into_iter().for_each(|day| self.leave(day, reason));
    }

    pub(super) fn leave(&mut self, day: Day, reason: &str) {
        self.push_left(LeftDay { day, reason: reason.to_owned(), fault: None });
    }

    pub(super) fn leave_at_fault(&mut self, day: Day, fault: FileFault) {
        self.push_left(LeftDay { day, reason: fault.to_string(), fault: Some(fault) });
    }

    fn push_left(&mut self, left: LeftDay) {
        tracing::warn!(day = %left.day, reason = left.reason, "the day is left as it is");
        metrics::counter!("lambdalake_batch_dates_left_total").increment(1);
        self.left.push(left);
    }

    /// The report as one JSON object.
    pub fn json(&self) -> Value {
        let planned = |planned: &PlannedDay| {
            let PlannedDay { day, event_rows, decision } = planned;
            let (decision, reason) = match decision {
                DayDecision::Recompute(reason) => ("recompute", Some(reason.as_str())),
                DayDecision::Clean => ("clean", None),
                DayDecision::Open { .. } => ("open", None),
                DayDecision::Frozen => ("frozen", None),
                DayDecision::Empty => ("empty", None),
            };
            json!({ "day": day.to_string(), "decision": decision, "reason": reason, "event_rows": event_rows })
        };
        let unneeded =
            |(day, why): &(Day, String)| json!({ "day": day.to_string(), "reason": why });
        let left = |LeftDay { day, reason, fault }: &LeftDay| json!({ "day": day.to_string(), "reason": reason, "fault": fault });
        json!({
            "complete": self.is_complete(),
            "dry_run": self.dry_run,
            "repaired": self.repaired,
            "planned": self.planned.iter().map(planned).collect::<Vec<_>>(),
            "final": self.done.iter().map(final_day).collect::<Vec<_>>(),
            "unneeded": self.unneeded.iter().map(unneeded).collect::<Vec<_>>(),
            "left": self.left.iter().map(left).collect::<Vec<_>>(),
        })
    }

    pub(super) fn superseded(&mut self, day: Day, published: &Published) {
        let why = match published {
            Published::Superseded(winner) => format!("another run won: {winner}"),
            _ => "it is clean by now".to_owned(),
        };
        tracing::info!(%day, why, "nothing to publish");
        self.unneeded.push((day, why));
    }

    pub(super) fn finish(&mut self, run: BatchRun) {
        tracing::info!(day = %run.day(), run_id = run.run_id, rows = run.rows_read, "the day is final");
        let count = |name: &'static str, number: i64| {
            metrics::counter!(name).increment(number.unsigned_abs());
        };
        count("lambdalake_batch_dates_final_total", 1);
        count("lambdalake_batch_rows_read_total", run.rows_read);
        count("lambdalake_batch_duplicates_dropped_total", run.duplicates_dropped);
        count("lambdalake_batch_late_rows_total", run.late_rows);
        count("lambdalake_batch_rows_written_total", run.rows_written);
        count("lambdalake_batch_drift_windows_total", run.drift_windows);
        let duration_us = run.finished_at - run.started_at;
        metrics::histogram!("lambdalake_batch_day_duration_seconds")
            .record(duration_us as f64 / 1e6);
        self.done.push(run);
    }
}

impl fmt::Display for NightlyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.planned.is_empty() {
            writeln!(f, "no day to look at: no events have landed in the days asked for")?;
        }
        for planned in &self.planned {
            writeln!(f, "{planned}")?;
        }
        if self.dry_run {
            return writeln!(f, "dry run: nothing was changed");
        }
        if self.repaired > 0 {
            writeln!(f, "recorded {} earlier run(s) in batch_runs", self.repaired)?;
        }
        self.done.iter().try_for_each(|run| summary(f, run))?;
        for (day, why) in &self.unneeded {
            writeln!(f, "{day}  not recomputed: {why}")?;
        }
        for LeftDay { day, reason, .. } in &self.left {
            writeln!(f, "{day}  LEFT: {reason}")?;
        }
        if self.done.is_empty() && self.left.is_empty() {
            writeln!(f, "nothing to recompute")?;
        }
        Ok(())
    }
}

/// A run as `batch_runs` has it, its day as text.
fn final_day(run: &BatchRun) -> Value {
    json!({
        "day": run.day().to_string(),
        "run_id": run.run_id,
        "events_version": run.events_version.0,
        "rows_read": run.rows_read,
        "duplicates_dropped": run.duplicates_dropped,
        "late_rows": run.late_rows,
        "cameras": run.cameras,
        "rows_written": run.rows_written,
        "drift_windows": run.drift_windows,
        "drift_max_kmh": run.drift_max_kmh,
    })
}

fn summary(f: &mut fmt::Formatter<'_>, run: &BatchRun) -> fmt::Result {
    writeln!(
        f,
        "{}  final from version {}: {} rows read, {} duplicates dropped, {} late, {} cameras, {} rows \
         written; {} windows changed, by at most {:.3} km/h",
        run.day(),
        run.events_version,
        run.rows_read,
        run.duplicates_dropped,
        run.late_rows,
        run.cameras,
        run.rows_written,
        run.drift_windows,
        run.drift_max_kmh,
    )
}
