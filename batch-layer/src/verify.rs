//! `batch-layer verify --date D`: recomputes one final day in a way of its own and compares the outcome with the
//! final rows bit for bit.
//!
//! Polars reads the day's files of `events` and computes every figure in `recompute`; only the bounds of the
//! day come from the calendar that the batch uses too. `final_rows` reads what `avg_speed` holds, down to the bits of its
//! doubles. `compare` compares both, one range of cameras after the other; `figures` are what is compared.

mod compare;
mod figures;
mod final_rows;
mod recompute;
mod report;
#[cfg(test)]
mod tests;

use lake_delta::TableState;
use lake_delta::log::FileEntry;
use lake_model::Day;
use lake_model::finalization::DayState;
use lake_tables::Table;

use self::recompute::Recomputation;
use crate::batch_runs::BatchRuns;
use crate::context::Context;
use crate::days::{self, KnownDay};
use crate::error::BatchError;
use crate::faults::{self, Judged};

pub use self::figures::{Difference, Figures};
pub use self::report::{Verdict, VerifyReport};

/// Verifies one day.
///
/// # Errors
/// The store or Polars fails. A data file that can't be used is a verdict, and no error.
pub async fn run(context: &Context, day: Day) -> Result<VerifyReport, BatchError> {
    faults::on_newest_files(async || attempt(context, day).await).await
}

async fn attempt(context: &Context, day: Day) -> Result<VerifyReport, BatchError> {
    let avg_speed = context.open(Table::AvgSpeed).await?;
    let runs = BatchRuns::open(context).await?;
    let events = context.open(Table::Events).await?;
    let (avg_speed, events) = (avg_speed.state(), events.state());
    let known = days::known_days(context, events, avg_speed, &runs)?;
    let known = known.into_iter().find(|known| known.facts.span.day == day);
    let mut report = VerifyReport::new(day, Verdict::NotFinal);
    let Some(known) = known else { return Ok(report) };
    report.runs = runs.of_day(day).cloned().collect();
    report.verdict = verdict(&known);
    if report.verdict == Verdict::Equal
        && let Err(error) = compare_all(context, events, avg_speed, &known, &mut report).await
    {
        match faults::judge(context, &[Table::Events, Table::AvgSpeed], error).await? {
            Judged::Fault(fault) => report.leave_at_fault(fault),
            Judged::Moved(error) => return Err(error.into()),
        }
    }
    Ok(report)
}

/// The outcome as far as it is known before anything is read; [`Verdict::Equal`] if the day can be compared.
fn verdict(known: &KnownDay) -> Verdict {
    let facts = &known.facts;
    match facts.state() {
        _ if !facts.is_final => Verdict::NotFinal,
        DayState::Frozen => Verdict::Frozen,
        DayState::Clean => Verdict::Equal,
        DayState::Dirty | DayState::Empty | DayState::NotFinal => {
            Verdict::Dirty { event_rows: facts.event_rows, rows_read: facts.last_run_rows }
        }
    }
}

async fn compare_all(
    context: &Context,
    events: &TableState,
    avg_speed: &TableState,
    known: &KnownDay,
    report: &mut VerifyReport,
) -> Result<(), BatchError> {
    let span = known.facts.span;
    let event_files: Vec<FileEntry> = events.files_of(span.day).cloned().collect();
    let final_files: Vec<FileEntry> = avg_speed.files_of(span.day).cloned().collect();
    let events_version = known.run.as_ref().map(|run| run.events_version);
    let recomputation = Recomputation::open(context, span, event_files).await?;
    for range in recomputation.ranges() {
        let recomputed = recomputation.figures(&range).await?;
        let rows = final_rows::read(&context.lake, &final_files, &range.span).await?;
        compare::compare(recomputed, rows, events_version, report);
    }
    if report.differences > 0 {
        report.verdict = Verdict::Different;
    }
    Ok(())
}
