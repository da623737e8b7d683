//! `batch-layer as-of --time T`: which runs had published the days by some time, from `batch_runs` alone.
//!
//! A run counts from the end of its computation on, which its commit follows at once.

use std::fmt;

use lake_model::{Day, Timestamp};
use lake_tables::batch_runs::BatchRun;
use serde_json::{Value, json};

use crate::batch_runs::BatchRuns;
use crate::context::Context;
use crate::error::BatchError;

/// The runs whose rows were the final ones at some time.
#[derive(Clone, Debug, PartialEq)]
pub struct AsOfReport {
    /// That time.
    pub time: Timestamp,
    /// The run of each day, by day. A day that is left out had no final rows then.
    pub runs: Vec<BatchRun>,
}

/// Finds the runs of all days, or of one.
///
/// # Errors
/// The table can't be read.
pub async fn run(
    context: &Context,
    time: Timestamp,
    only: Option<Day>,
) -> Result<AsOfReport, BatchError> {
    let runs = BatchRuns::open(context).await?;
    let by_then = |day: Day| {
        let mut of_day = runs.of_day(day);
        of_day.rfind(|run| run.finished_at <= time.micros()).cloned()
    };
    let days = runs.days().filter(|day| only.is_none_or(|only| *day == only));
    Ok(AsOfReport { time, runs: days.filter_map(by_then).collect() })
}

impl AsOfReport {
    /// The report as JSON: `time`, and `runs` with `event_date` and the other columns of `batch_runs` that tell what was published.
    pub fn json(&self) -> Value {
        let runs: Vec<Value> = self.runs.iter().map(json_of).collect();
        json!({ "time": self.time.to_string(), "runs": runs })
    }
}

fn json_of(run: &BatchRun) -> Value {
    json!({
        "event_date": run.day().to_string(),
        "run_id": run.run_id,
        "events_version": run.events_version.0,
        "rows_read": run.rows_read,
        "rows_written": run.rows_written,
        "finished_at": Timestamp::from_micros(run.finished_at).to_string(),
    })
}

impl fmt::Display for AsOfReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs.is_empty() {
            return writeln!(f, "no day was final at {}", self.time);
        }
        for run in &self.runs {
            let finished_at = Timestamp::from_micros(run.finished_at);
            let (day, BatchRun { run_id, rows_read, rows_written, .. }) = (run.day(), run);
            writeln!(
                f,
                "{day}  run {run_id}, {rows_written} rows from {rows_read} events, finished at {finished_at}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::as_of;
    use crate::test_support::{World, at, day, seen};

    #[tokio::test]
    async fn a_run_counts_from_its_end_until_the_next_one_of_its_day() {
        let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
        world.process(&[seen("KV1", "2025-04-05T10:00:00Z", 50_000)]).await;
        let first = world.nightly().await.done.remove(0);
        world.clock.set(at("2025-04-06T13:00:00Z"));
        world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 60_000).late()]).await;
        let second = world.nightly().await.done.remove(0);
        let published = async |time: &str, only| {
            let found = as_of::run(&world.context, at(time), only).await.unwrap();
            found.runs.into_iter().map(|run| run.run_id).collect::<Vec<_>>()
        };
        assert!(published("2025-04-06T11:59:59Z", None).await.is_empty());
        assert_eq!(published("2025-04-06T12:00:00Z", None).await, [first.run_id.as_str()]);
        assert_eq!(published("2025-04-06T12:59:59Z", None).await, [first.run_id.as_str()]);
        assert_eq!(published("2025-04-06T13:00:00Z", None).await, [second.run_id.as_str()]);
        let other_day = Some(day("2025-04-04"));
        assert!(published("2025-04-06T13:00:00Z", other_day).await.is_empty());
    }
}
