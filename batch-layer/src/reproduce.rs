//! `batch-layer reproduce --run ID`: the rows that a run published, computed once more from `events` as they are now.
//!
//! A row of `events` has its place in Kafka, and `batch_runs` has the next offsets that a run's version of `events` covered. So the
//! rows that the run has seen are those before these offsets, however often files were compacted since, and whatever
//! landed later. They are counted as `batch_runs` has it, and computed as the run computed them. While the rows in `avg_speed`
//! are still this run's, they are compared bit for bit (`published`).
//!
//! What can't be reproduced is a day of which events are gone: dropped by retention, or quarantined. Numbers of events over a limit
//! follow the limits that are configured now.

mod output;
mod published;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use lake_delta::TableState;
use lake_delta::log::FileEntry;
use lake_model::{Day, KafkaPartition, Offset, Timestamp};
use lake_tables::batch_runs::BatchRun;
use lake_tables::{Table, avg_speed};

use self::output::Output;
use self::published::Published;
use self::report::Found;
use crate::batch_runs::BatchRuns;
use crate::cameras::CameraSpan;
use crate::context::Context;
use crate::day_events::{Covered, DayEvents, DistinctEvents, EventRange, Limits};
use crate::error::BatchError;
use crate::faults;
use crate::final_figures::{FinalFigures, RangeRows};
use crate::progress;

pub use self::report::{Difference, Outcome, ReproduceReport, ReproducedDay};

/// What is to be reproduced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReproduceOptions {
    /// The run.
    pub run_id: String,
    /// Only this of its days.
    pub day: Option<Day>,
    /// A folder for a Parquet file of each day.
    pub out: Option<PathBuf>,
}

/// Reproduces what a run published.
///
/// # Errors
/// The run is not recorded, the store fails, a data file can't be used, or the folder can't be written to.
pub async fn run(
    context: &Context,
    options: &ReproduceOptions,
) -> Result<ReproduceReport, BatchError> {
    faults::on_newest_files(async || attempt(context, options).await).await
}

async fn attempt(
    context: &Context,
    options: &ReproduceOptions,
) -> Result<ReproduceReport, BatchError> {
    let runs = BatchRuns::open(context).await?;
    let of_run: Vec<BatchRun> = runs.of_run(&options.run_id).cloned().collect();
    let wanted = |run: &&BatchRun| options.day.is_none_or(|day| run.day() == day);
    let wanted: Vec<&BatchRun> = of_run.iter().filter(wanted).collect();
    if wanted.is_empty() {
        return Err(not_recorded(options, &of_run));
    }
    let (events, avg_speed) =
        (context.open(Table::Events).await?, context.open(Table::AvgSpeed).await?);
    let mut report = ReproduceReport { run_id: options.run_id.clone(), days: Vec::new() };
    for run in wanted {
        let day = reproduce(context, events.state(), avg_speed.state(), run, options).await?;
        tracing::info!(day = %run.day(), run = run.run_id, outcome = %day.outcome, "reproduced");
        report.days.push(day);
    }
    Ok(report)
}

fn not_recorded(options: &ReproduceOptions, of_run: &[BatchRun]) -> BatchError {
    let run_id = &options.run_id;
    BatchError::Configuration(match options.day {
        Some(day) if !of_run.is_empty() => {
            let days: Vec<String> = of_run.iter().map(|run| run.day().to_string()).collect();
            format!("--date {day}: run {run_id} has not published it, but {}", days.join(", "))
        }
        _ => format!(
            "--run {run_id}: batch_runs has no such run; `batch-layer as-of --time T` says which ones were published at a time"
        ),
    })
}

/// What becomes of the events of a range of cameras.
struct Reproduced {
    span: CameraSpan,
    rows: RangeRows,
}

async fn reproduce(
    context: &Context,
    events: &TableState,
    avg_speed: &TableState,
    run: &BatchRun,
    options: &ReproduceOptions,
) -> Result<ReproducedDay, BatchError> {
    let span = context.calendar_at(events)?.span(run.day());
    let files: Vec<FileEntry> = events.files_of(span.day).cloned().collect();
    let bar = progress::rows(files.iter().map(|file| file.rows).sum(), span.day.to_string());
    let covered = Covered::Before(offsets(run)?);
    let limits = Limits::of(&context.settings);
    let read = DayEvents::read(&context.lake, span, &files, covered, limits, |rows| bar.inc(rows));
    let day = Arc::new(read.await?);
    bar.finish_and_clear();
    let figures = FinalFigures {
        limits: context.limits.clone(),
        events_version: run.events_version,
        computed_at: Timestamp::from_micros(run.started_at),
    };
    let of_range = move |day: &DayEvents, range: &EventRange, distinct: &DistinctEvents| {
        Reproduced { span: range.cameras.span.clone(), rows: figures.of(day, distinct) }
    };
    let published = Published::of(avg_speed, run);
    let mut output =
        options.out.as_deref().map(|folder| Output::create(folder, run)).transpose()?;
    let mut found = Found { differing: published.as_ref().map(|_| 0), ..Found::default() };
    let mut ranges = day.each_range(of_range);
    while let Some(Reproduced { span, rows }) = ranges.try_next().await? {
        let batch = avg_speed::batch(rows.rows.iter().flatten());
        found.duplicates_dropped += rows.duplicates.cast_signed();
        found.rows_written += batch.num_rows() as i64;
        if let (Some(published), Some(differing)) = (&published, &mut found.differing) {
            *differing += published.differing(&context.lake, &span, &batch).await?;
        }
        if let Some(output) = &mut output {
            output.write(&batch)?;
        }
    }
    Ok(ReproducedDay {
        day: span.day,
        outcome: found.outcome(run, &day),
        rows_written: found.rows_written,
        file: output.map(Output::finish).transpose()?,
    })
}

/// The next offsets that a run covered.
fn offsets(run: &BatchRun) -> Result<BTreeMap<KafkaPartition, Offset>, BatchError> {
    let damaged = || {
        let BatchRun { run_id, kafka_offsets, .. } = run;
        BatchError::Configuration(format!(
            "batch_runs: run {run_id} has kafka_offsets {kafka_offsets:?}; expected a JSON object from partitions to offsets"
        ))
    };
    let object: BTreeMap<String, i64> =
        serde_json::from_str(&run.kafka_offsets).map_err(|_| damaged())?;
    let entry = |(partition, next): (String, i64)| {
        Some((KafkaPartition(partition.parse().ok()?), Offset(next)))
    };
    object.into_iter().map(|pair| entry(pair).ok_or_else(damaged)).collect()
}
