//! `batch-layer audit`: proves from the tables alone that nothing was lost and nothing counted twice, and compares them with
//! what Kafka holds.
//!
//! `coverage` checks that of every Kafka partition each offset is in `events`, `dead_letters` or `offset_gaps`,
//! exactly once. `days` checks that the counts and sums of every final day are those of its distinct events.
//! Watermarks that were set back are reported: beside the log, lateness depends on them. `kafka` checks that no partition of
//! the topic is left out or far behind.
//!
//! # Consistency
//! The tables are read while others write them, so their order matters. Dead letters and gaps are committed
//! before the events that come after them: what the next offset in `events` reaches is explained in every
//! version of the others that is read later, and what they hold beyond it is ignored. `avg_speed` and
//! `batch_runs` are read before `events`, so that no day seems to have lost rows that landed in between.
//!
//! # Faults
//! A data file that can't be used (`crate::faults`) is a finding with the offsets that the log says it has; everything else is
//! checked. Where another program has replaced a file since the logs were read, the audit begins again.

mod coverage;
mod days;
mod kafka;
mod report;
#[cfg(test)]
mod tests;

use lake_delta::TableState;
use lake_kafka::{LogEnds, LogTimes};
use lake_tables::Table;
use lake_tables::txn::AcceptedTruncation;

use crate::batch_runs::BatchRuns;
use crate::context::Context;
use crate::error::BatchError;
use crate::faults::{self, FileFault, Judged};

pub use self::kafka::{KafkaOptions, KafkaUse};
pub use self::report::{
    AuditReport, AuditedDay, AuditedPartition, AuditedReset, AuditedTruncation, ComparedPartition,
    DayStatus, KafkaComparison,
};

/// Audits the lake, and compares it with Kafka. What is wrong is in the report.
///
/// # Errors
/// As [`run`], and Kafka can't be asked though the options require it.
pub async fn run_beside(
    context: &Context,
    kafka: &(impl LogEnds + LogTimes),
    options: &KafkaOptions,
) -> Result<AuditReport, BatchError> {
    // First: where Kafka is required and can't be asked, nobody waits for the tables.
    let (compared, problems) = kafka::compare(context, kafka, options).await?;
    let mut report = run(context).await?;
    report.kafka = compared;
    problems.into_iter().for_each(|problem| report.problem(problem));
    Ok(report)
}

/// Audits the lake by its tables alone. What is wrong is in the report.
///
/// # Errors
/// The store fails, or the tables are not those of the settings.
pub async fn run(context: &Context) -> Result<AuditReport, BatchError> {
    faults::on_newest_files(async || attempt(context).await).await
}

async fn attempt(context: &Context) -> Result<AuditReport, BatchError> {
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
    let audited = found.map(|AcceptedTruncation { cut, accepted_at }| AuditedTruncation {
        partition: cut.partition,
        end: cut.end,
        position: cut.position,
        covered_to: cut.covered_to,
        accepted_at: accepted_at.to_string(),
    });
    audited.collect()
}

/// The data file that `error` is about, which is now among the findings.
///
/// # Errors
/// It is about no data file, or about one that the log does not name any more.
async fn note_fault(
    context: &Context,
    tables: &[Table],
    error: impl Into<BatchError>,
    report: &mut AuditReport,
) -> Result<FileFault, BatchError> {
    note(faults::judge(context, tables, error).await?, report)
}

/// The data file at fault, which is now among the findings.
///
/// # Errors
/// The log does not name it any more.
fn note(judged: Judged, report: &mut AuditReport) -> Result<FileFault, BatchError> {
    match judged {
        Judged::Moved(error) => Err(error.into()),
        Judged::Fault(fault) => {
            report.fault(fault.clone());
            Ok(fault)
        }
    }
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
