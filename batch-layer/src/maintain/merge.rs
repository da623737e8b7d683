//! Merging the small files of the tables that are not compacted by day, once they are many.

use std::collections::{BTreeSet, HashMap};

use arrow::array::RecordBatch;
use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableLog};
use lake_model::Day;
use lake_tables::Table;

use super::compact::{OPERATION, output};
use super::plan;
use super::report::{MaintainReport, Rewritten};
use super::rewrite::{OVERTAKEN, swap};
use crate::context::Context;
use crate::error::BatchError;
use crate::scan::{Columns, always, conformed, scan};

/// Merges the small files of a table, or of each of its days, where they are many.
pub(super) async fn small_files(
    context: &Context,
    table: Table,
    report: &mut MaintainReport,
) -> Result<(), BatchError> {
    let mut log = context.open(table).await?;
    let days: BTreeSet<Option<Day>> = log.state().files().map(|file| file.partition).collect();
    for day in days {
        let merged = small_files_of(context, &mut log, (table, day), report).await;
        report.leave_at_fault(context, table, merged).await?;
    }
    Ok(())
}

async fn small_files_of(
    context: &Context,
    log: &mut TableLog,
    (table, day): (Table, Option<Day>),
    report: &mut MaintainReport,
) -> Result<(), LakeError> {
    let target_bytes = context.settings.maintain.target_file_size;
    let files = log.state().files().filter(|file| file.partition == day);
    let slices = plan::worth_merging(files, target_bytes);
    let files = slices.iter().map(Vec::len).sum();
    if files == 0 {
        return Ok(());
    }
    let mut rewritten = Rewritten::new(log.table(), day, files);
    if !report.dry_run {
        let mut after = 0;
        for inputs in slices {
            let mut output = output(&context.lake, log.table(), day, target_bytes);
            for rows in in_order(context, table, &inputs).await? {
                output.push(&rows).await?;
            }
            let outputs = output.finish().await?;
            after += outputs.len();
            if !swap(log, OPERATION, &inputs, outputs).await? {
                report.leave(log.table(), day, OVERTAKEN.to_owned());
                return Ok(());
            }
        }
        rewritten.after = Some(after);
    }
    report.rewrote(rewritten);
    Ok(())
}

/// The rows of files, in the order of the files. Many are requested at once.
async fn in_order(
    context: &Context,
    table: Table,
    files: &[FileEntry],
) -> Result<Vec<RecordBatch>, LakeError> {
    let paths = files.iter().enumerate().map(|(place, file)| (file.path.clone(), place));
    let places: HashMap<String, usize> = paths.collect();
    let schema = table.file_schema();
    let extract = move |file: &FileEntry, batch: &RecordBatch| {
        conformed(batch, &schema).map(|rows| (places[&file.path], rows))
    };
    let mut pieces: Vec<(usize, RecordBatch)> = Vec::new();
    let hold = always(|piece| pieces.push(piece));
    scan(&context.lake, table, files, Columns::ALL, extract, hold, Err).await?;
    // Stable: the pieces of a file come in their order.
    pieces.sort_by_key(|(place, _)| *place);
    Ok(pieces.into_iter().map(|(_, rows)| rows).collect())
}
