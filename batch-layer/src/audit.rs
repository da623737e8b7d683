//! `batch-layer audit`: proves from the tables alone that nothing was lost and nothing counted twice.
//!
//! `coverage` checks that of every Kafka partition each offset is in `events`, `dead_letters` or `offset_gaps`,
//! exactly once. `days` checks that the counts and sums of every final day are those of its distinct events.
//! Watermarks that were set back are reported: beside the log, lateness depends on them.
//!
//! # Consistency
//! The tables are read while others write them, so their order matters. Dead letters and gaps are committed
//! before the events that come after them: what the next offset in `events` reaches is explained in every
//! version of the others that is read later, and what they hold beyond it is ignored. `avg_speed` and
//! `batch_runs` are read before `events`, so that no day seems to have lost rows that landed in between.

mod coverage;
mod days;
mod offset_set;
mod report;
#[cfg(test)]
mod tests;

use lake_delta::TableState;
use lake_tables::Table;

use crate::batch_runs::BatchRuns;
use crate::context::Context;
use crate::error::BatchError;

pub use self::report::{
    AuditReport, AuditedDay, AuditedPartition, AuditedReset, AuditedTruncation, DayStatus,
};

/// Audits the lake. What is wrong is in the report.
///
/// # Errors
/// The tables can't be read.
pub async fn run(context: &Context) -> Result<AuditReport, BatchError> {
    let avg_speed = context.open(Table::AvgSpeed).await?;
    let runs = BatchRuns::open(context).await?;
    let events = context.open(Table::Events).await?;
    let dead_letters = context.open(Table::DeadLetters).await?;
    let offset_gaps = context.open(Table::OffsetGaps).await?;
    let mut report = AuditReport::default();
    let (events, dead_letters) = (events.state(), dead_letters.state());
    coverage::audit(context, events, dead_letters, offset_gaps.state(), &mut report).await?;
    days::audit(context, events, avg_speed.state(), &runs, &mut report).await?;
    report.watermark_resets = watermark_resets(context, events);
    report.accepted_truncations = accepted_truncations(context, events);
    Ok(report)
}

fn accepted_truncations(context: &Context, events: &TableState) -> Vec<AuditedTruncation> {
    let app_ids = &context.app_ids;
    let partitions = app_ids.partitions(events).into_iter();
    let found =
        partitions.flat_map(|(partition, _)| app_ids.accepted_truncations(events, partition));
    let audited = found.map(|found| AuditedTruncation {
        partition: found.partition,
        end: found.end,
        position: found.position,
        accepted_at: found.accepted_at.to_string(),
    });
    audited.collect()
}

fn watermark_resets(context: &Context, events: &TableState) -> Vec<AuditedReset> {
    let app_ids = &context.app_ids;
    let partitions = app_ids.partitions(events).into_iter();
    let resets = partitions.flat_map(|(partition, _)| app_ids.watermark_resets(events, partition));
    let audited = resets.map(|reset| AuditedReset {
        partition: reset.partition,
        offset: reset.offset,
        from: reset.from.to_string(),
        to: reset.to.to_string(),
        requested_at: reset.requested_at.to_string(),
    });
    audited.collect()
}
