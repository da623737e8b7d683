//! Merging the small files of the tables that are not compacted by day, once they are many.

use std::collections::BTreeSet;

use arrow::error::ArrowError;
use futures::TryStreamExt;
use lake_delta::data_file::RollingWriter;
use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableLog, TableSpec};
use lake_model::Day;
use lake_tables::Table;

use super::compact::{OPERATION, output};
use super::plan;
use super::report::{MaintainReport, Rewritten};
use super::rewrite::{OVERTAKEN, conformed, swap};
use crate::context::Context;
use crate::error::BatchError;
use crate::scan::batches;

/// Merges the small files of a table, or of each of its days, where they are many.
pub(super) async fn small_files(
    context: &Context,
    table: Table,
    report: &mut MaintainReport,
) -> Result<(), BatchError> {
    let mut log = context.open(table).await?;
    let days: BTreeSet<Option<Day>> = log.state().files().map(|file| file.partition).collect();
    for day in days {
        let merged = small_files_of(context, &mut log, day, report).await;
        report.leave_at_fault(context, table, merged).await?;
    }
    Ok(())
}

async fn small_files_of(
    context: &Context,
    log: &mut TableLog,
    day: Option<Day>,
    report: &mut MaintainReport,
) -> Result<(), LakeError> {
    let target_bytes = context.settings.maintain.target_file_size;
    let files = log.state().files().filter(|file| file.partition == day);
    let inputs = plan::worth_merging(files, target_bytes);
    if inputs.is_empty() {
        return Ok(());
    }
    let mut rewritten = Rewritten::new(log.table(), day, inputs.len());
    if !report.dry_run {
        let mut output = output(&context.lake, log.table(), day, target_bytes);
        for input in &inputs {
            append(context, log.table(), input, &mut output).await?;
        }
        let outputs = output.finish().await?;
        rewritten.after = Some(outputs.len());
        if !swap(log, OPERATION, &inputs, outputs).await? {
            report.leave(log.table(), day, OVERTAKEN.to_owned());
            return Ok(());
        }
    }
    report.rewrote(rewritten);
    Ok(())
}

async fn append(
    context: &Context,
    table: &'static TableSpec,
    input: &FileEntry,
    output: &mut RollingWriter<'_>,
) -> Result<(), LakeError> {
    let damaged = |error: ArrowError| LakeError::data_file(&input.path, error);
    let mut batches = batches(context.lake.table_store(table), input, &[]).await?;
    while let Some(batch) = batches.try_next().await? {
        output.push(&conformed(&batch, &table.file_schema).map_err(damaged)?).await?;
    }
    Ok(())
}
