//! Making large files of small ones.
//!
//! A closed day of `events` is sorted by camera and event time, so that readers of one camera skip most of
//! it. It is read in ranges of cameras, as the batch reads it, so that memory stays bounded. The other tables are
//! merged as they are, once their small files are many.

use std::collections::BTreeSet;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{
    SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use arrow::error::ArrowError;
use futures::TryStreamExt;
use lake_delta::columns::{self, ColumnError};
use lake_delta::data_file::RollingWriter;
use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableLog, TableSpec};
use lake_model::Day;
use lake_tables::{Table, file_kind};

use super::camera_counts::CameraCounts;
use super::plan;
use super::report::{MaintainReport, Rewritten};
use super::rewrite::{OVERTAKEN, conformed, swap, together};
use crate::cameras::{CameraRange, CameraSpan, unread};
use crate::context::Context;
use crate::error::BatchError;
use crate::progress;
use crate::scan::{batches, scan};

/// What compaction is called in a table's history.
const OPERATION: &str = "COMPACT";
/// Whole rows are about this many times larger than what the batch holds of an event.
const ROW_SHARE: u64 = 8;
/// Rows of a range occupy about this much memory at most.
const RANGE_BYTES: u64 = 512 << 20;
/// How much larger rows are in memory than in files, at a guess.
const EXPANSION: u64 = 8;

const ORDER: [&str; 4] = ["camera_id", "event_time", "kafka_partition", "kafka_offset"];

/// Compacts a closed day of `events` if that is worth it.
pub(super) async fn day(
    context: &Context,
    events: &mut TableLog,
    day: Day,
    report: &mut MaintainReport,
) -> Result<(), LakeError> {
    let target_bytes = context.settings.maintain.target_file_size;
    let inputs = plan::worth_compacting(events.state().files_of(day), target_bytes);
    if inputs.is_empty() {
        return Ok(());
    }
    let mut rewritten = Rewritten::new(Table::Events.spec(), Some(day), inputs.len());
    if !report.dry_run {
        let camera_counts = CameraCounts::count(&context.lake, &inputs).await?;
        let bar = progress::rows(camera_counts.rows, format!("{day} compaction"));
        let mut output = output(context, Table::Events.spec(), Some(day));
        for range in camera_counts.ranges(max_rows(context, &inputs)) {
            let sorted = sorted_rows(context, &inputs, &range).await?;
            bar.inc(sorted.num_rows() as u64);
            output.push(&sorted).await?;
        }
        bar.finish_and_clear();
        let outputs = output.finish().await?;
        let written: u64 = outputs.iter().map(|file| file.rows).sum();
        if written != camera_counts.rows {
            return Err(unread(&context.lake, &inputs, written, camera_counts.rows).await?);
        }
        rewritten.after = Some(outputs.len());
        if !swap(events, OPERATION, &inputs, outputs).await? {
            report.leave(events.table(), Some(day), OVERTAKEN.to_owned());
            return Ok(());
        }
    }
    report.rewrote(rewritten);
    Ok(())
}

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
        let mut output = output(context, log.table(), day);
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

/// The files that rows are compacted into.
fn output<'a>(
    context: &'a Context,
    table: &'static TableSpec,
    day: Option<Day>,
) -> RollingWriter<'a> {
    let target_bytes = context.settings.maintain.target_file_size;
    let new_file = move |id| file_kind::compacted(table, day, id);
    RollingWriter::new(&context.lake, table, target_bytes, new_file)
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

/// How many rows of these files fit in memory.
fn max_rows(context: &Context, files: &[FileEntry]) -> u64 {
    let (bytes, rows) =
        files.iter().fold((0, 0), |(bytes, rows), file| (bytes + file.size, rows + file.rows));
    let row_bytes = (EXPANSION * bytes / rows.max(1)).max(64);
    let set = context.settings.batch.max_rows_in_memory as u64 / ROW_SHARE;
    set.min(RANGE_BYTES / row_bytes).max(1)
}

/// The rows of a range of cameras by camera and event time.
async fn sorted_rows(
    context: &Context,
    files: &[FileEntry],
    range: &CameraRange,
) -> Result<RecordBatch, LakeError> {
    let files: Vec<FileEntry> =
        files.iter().filter(|file| range.span.may_be_in(file)).cloned().collect();
    let span = range.span.clone();
    let mut batches: Vec<RecordBatch> = Vec::new();
    let extract = move |batch: &RecordBatch| rows_of(batch, &span);
    scan(&context.lake, Table::Events, &files, &[], extract, |batch| batches.push(batch)).await?;
    sort(&batches).map_err(|error| together(&files, &error.to_string()))
}

/// A batch that rows can't be read from.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum RowsError {
    Column(#[from] ColumnError),
    Arrow(#[from] ArrowError),
}

fn rows_of(batch: &RecordBatch, span: &CameraSpan) -> Result<RecordBatch, RowsError> {
    let cameras = columns::string(batch, "camera_id")?;
    let wanted: BooleanArray = cameras.iter().map(|id| id.map(|id| span.contains(id))).collect();
    let batch = conformed(batch, &Table::Events.file_schema())?;
    Ok(filter_record_batch(&batch, &wanted)?)
}

fn sort(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let all = concat_batches(&Table::Events.file_schema(), batches)?;
    let columns: Vec<SortColumn> = ORDER
        .iter()
        .filter_map(|name| all.column_by_name(name))
        .map(|values| SortColumn { values: values.clone(), options: None })
        .collect();
    let order = lexsort_to_indices(&columns, None)?;
    take_record_batch(&all, &order)
}
