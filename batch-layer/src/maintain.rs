//! `batch-layer maintain`: keeps the tables small and quick to read, beside everything else that runs.
//!
//! In this order: `retention` drops days of `events` that are past theirs, `vacuum` deletes files that no version within the
//! retention names, the logs are checkpointed and cleaned, what killed writers left outside of any listing is deleted
//! ([`lake_delta::storage::leftovers`]), `compact` makes few, sorted files of the many that have landed in a day, `merge` large ones
//! of the small ones of the other tables, and `portable` rewrites what not every reader can read. What takes long comes last, so
//! that a run with a time limit does the rest whatever there is to compact.
//!
//! # Consistency
//! Every change is one commit by compare and swap. Compaction commits only while the files that it read are all
//! there, and changes no rows, so that nothing that is committed meanwhile gets in its way or is undone by it.
//!
//! # Crash consistency
//! A run that is killed leaves files that no log names, which a later run deletes once they are old enough.
//!
//! # Faults
//! A day or a table with a data file that can't be used (`crate::faults`) is left as it is and reported; the rest is
//! maintained. Retention ends before such a day, since the offsets that its floor would be are in the file.

mod compact;
mod merge;
mod plan;
mod portable;
mod report;
mod retention;
mod rewrite;
mod sorted;
#[cfg(test)]
mod tests;
mod vacuum;

use std::collections::BTreeSet;

use lake_delta::storage::leftovers::Leftovers;
use lake_delta::{TableLog, housekeeping};
use lake_kafka::LogEnds;
use lake_model::finalization::DayDecision;
use lake_runtime::Shutdown;
use lake_tables::Table;

use crate::batch_runs::BatchRuns;
use crate::context::Context;
use crate::days;
use crate::error::BatchError;

use self::compact::CompactDay;
pub use self::report::{LeftWork, MaintainReport, Reason, Rewritten};

/// Why work is left by a run that is stopped.
const STOPPED: &str = "the run was asked to stop, or has reached its time limit";

/// Maintains every table. With `dry_run` it only reports what it would do.
///
/// # Errors
/// The store fails, the tables can't be committed to, or Kafka can't be asked while `maintain.event_retention` is set.
pub async fn run(
    context: &Context,
    ends: &dyn LogEnds,
    dry_run: bool,
    shutdown: &Shutdown,
) -> Result<MaintainReport, BatchError> {
    let mut report = MaintainReport { dry_run, ..MaintainReport::default() };
    let avg_speed = context.open(Table::AvgSpeed).await?;
    let runs = BatchRuns::open(context).await?;
    let mut events = context.open(Table::Events).await?;
    if let Some(retention) = context.settings.maintain.event_retention {
        let log = context.topic(ends, &events).await?.stable();
        let dropped = retention::drop_days(
            context,
            &mut events,
            &avg_speed,
            &runs,
            &log,
            retention,
            &mut report,
        );
        let dropped = dropped.await;
        report.leave_at_fault(context, Table::OffsetGaps, dropped).await?;
    }
    for table in Table::ALL {
        if shutdown.is_requested() {
            report.leave(table.spec(), None, STOPPED.to_owned());
            return Ok(report);
        }
        tidy(context, table, &mut report).await?;
    }
    report.leftovers = leftovers(context, dry_run).await?;
    events.refresh().await?;
    let known = days::known_days(context, events.state(), avg_speed.state(), &runs)?;
    let mut at_rest = BTreeSet::new();
    for known in &known {
        let (day, decision) = (known.facts.span.day, known.decision(context, false));
        if shutdown.is_requested() {
            report.leave(Table::Events.spec(), Some(day), STOPPED.to_owned());
            return Ok(report);
        }
        let is_closed = !matches!(decision, DayDecision::Open { .. });
        let day = CompactDay { day, is_closed };
        compact::day(context, &mut events, day, &mut report, shutdown).await?;
        if matches!(decision, DayDecision::Clean) {
            at_rest.insert(day.day);
        }
    }
    at_rest.retain(|day| !report.has_fault_of(Table::Events, *day));
    for table in [Table::DeadLetters, Table::OffsetGaps, Table::BatchRuns] {
        if shutdown.is_requested() {
            report.leave(table.spec(), None, STOPPED.to_owned());
            return Ok(report);
        }
        merge::small_files(context, table, &mut report).await?;
    }
    for table in Table::ALL {
        portable::rewrite(context, table, &at_rest, &mut report, shutdown).await?;
    }
    Ok(report)
}

/// Deletes what killed writers have left and no log and no listing shows, once it is as old as an orphan has to be.
async fn leftovers(context: &Context, dry_run: bool) -> Result<Leftovers, BatchError> {
    let retention = context.settings.maintain.orphan_retention.as_micros();
    let before = context.now().saturating_add(-i64::try_from(retention).unwrap_or(i64::MAX));
    let tables = Table::ALL.iter().map(|table| table.spec().name).collect();
    Ok(context.lake.clear_leftovers(tables, before, dry_run).await?)
}

/// Deletes what a table no longer needs, and checkpoints its log.
async fn tidy(
    context: &Context,
    table: Table,
    report: &mut MaintainReport,
) -> Result<(), BatchError> {
    vacuum::vacuum(context, table, report).await?;
    if !report.dry_run {
        let log: TableLog = context.open(table).await?;
        if housekeeping::checkpoint_if_due(&context.lake, table, log.state().version()).await? {
            report.checkpointed.push(table);
        }
    }
    Ok(())
}
