//! Rewriting files that some readers refuse or read wrongly because of how their columns are encoded: those of earlier
//! releases, and of other programs.
//!
//! Files whose tags say that their encodings are portable are left alone; of the others the footer decides. A file becomes
//! one with the same rows in the same order, and of the same kind, so that nothing else changes. One commit swaps the
//! files of a day.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use indicatif::ProgressBar;
use lake_delta::data_file::FileWriter;
use lake_delta::log::FileEntry;
use lake_delta::{DataFile, LakeError, read};
use lake_model::Day;
use lake_runtime::Shutdown;
use lake_tables::file_kind::{self, AvgSpeedFile};
use lake_tables::{Table, encoding};

use super::STOPPED;
use super::report::{MaintainReport, Rewritten};
use super::rewrite::{OVERTAKEN, swap};
use crate::context::Context;
use crate::error::BatchError;
use crate::progress;
use crate::scan::{batches, conformed};

/// Footers that are read at once.
const CONCURRENT_FOOTERS: usize = 16;

/// Rewrites what of `table` is not portable, and not about to be replaced: provisional rows are, and events of days
/// that are not `at_rest`.
pub(super) async fn rewrite(
    context: &Context,
    table: Table,
    at_rest: &BTreeSet<Day>,
    report: &mut MaintainReport,
    shutdown: &Shutdown,
) -> Result<(), BatchError> {
    let mut log = context.open(table).await?;
    let stays = |file: &&FileEntry| match table {
        Table::Events => file.partition.is_some_and(|day| at_rest.contains(&day)),
        Table::AvgSpeed => AvgSpeedFile::is_final(file),
        Table::DeadLetters | Table::OffsetGaps | Table::BatchRuns => true,
    };
    let files: Vec<FileEntry> = log.state().files().filter(stays).cloned().collect();
    let days = not_portable(context, table, files, report).await?;
    let all: usize = days.values().map(Vec::len).sum();
    let rows = days.values().flatten().map(|file| file.rows).sum();
    let bar = progress::rows(rows, format!("{table}: encodings"));
    let mut done = 0;
    for (day, files) in days {
        if shutdown.is_requested() {
            report.leave(table.spec(), day, STOPPED.to_owned());
            break;
        }
        let mut rewritten = Rewritten::new(table.spec(), day, files.len()).for_readers();
        if !report.dry_run {
            let copied = copies(context, table, &files, &bar).await;
            let Some(copies) = report.leave_at_fault(context, table, copied).await? else {
                continue;
            };
            rewritten.after = Some(copies.len());
            if !swap(&mut log, "REWRITE", &files, copies).await? {
                report.leave(log.table(), day, OVERTAKEN.to_owned());
                continue;
            }
            done += files.len();
            tracing::info!(%table, done, all, "files rewritten in encodings that every reader knows");
        }
        report.rewrote(rewritten);
    }
    bar.finish_and_clear();
    Ok(())
}

/// The files with encodings that not every reader knows, by day.
async fn not_portable(
    context: &Context,
    table: Table,
    files: Vec<FileEntry>,
    report: &mut MaintainReport,
) -> Result<BTreeMap<Option<Day>, Vec<FileEntry>>, BatchError> {
    let unknown = files.into_iter().filter(|file| !file_kind::is_portable(file));
    let checks = unknown.map(|file| async move {
        let store = context.lake.table_store(table);
        let mut encodings = read::encodings(store, &file).await?.into_values().flatten();
        Ok::<_, LakeError>(encodings.any(|one| !encoding::is_portable(one)).then_some(file))
    });
    let mut days: BTreeMap<Option<Day>, Vec<FileEntry>> = BTreeMap::new();
    let mut found = stream::iter(checks).buffered(CONCURRENT_FOOTERS);
    while let Some(file) = found.next().await {
        if let Some(Some(file)) = report.leave_at_fault(context, table, file).await? {
            days.entry(file.partition).or_default().push(file);
        }
    }
    Ok(days)
}

/// Copies of files of one day.
async fn copies(
    context: &Context,
    table: Table,
    files: &[FileEntry],
    bar: &ProgressBar,
) -> Result<Vec<DataFile>, LakeError> {
    let mut copies = Vec::new();
    for file in files {
        copies.push(copy(context, table, file).await?);
        bar.inc(file.rows);
    }
    Ok(copies)
}

/// Writes the rows of `file` into a file of the same kind.
pub(super) async fn copy(
    context: &Context,
    table: Table,
    file: &FileEntry,
) -> Result<DataFile, LakeError> {
    let new = file_kind::portable_copy(table, file, context.lake.unique_id());
    let mut writer = FileWriter::new(table, new)?;
    let schema = table.file_schema();
    let mut batches = batches(context.lake.table_store(table), file, &[]).await?;
    while let Some(batch) = batches.try_next().await? {
        let batch = conformed(&batch, &schema);
        writer.push(&batch.map_err(|error| LakeError::data_file(&file.path, error))?)?;
    }
    writer.upload(&context.lake).await
}

#[cfg(test)]
mod tests;
