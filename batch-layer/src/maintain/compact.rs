//! Making few, sorted files of the many that land in a day of `events`.
//!
//! A day is compacted in slices, each of files whose records came one after the other: its rows are read once, sorted by camera and event
//! time, written, and swapped for the files in one commit. So what is held is bounded whatever the day has, every slice
//! that is committed is kept if the run ends early, and readers of one camera, of some hours, or of both skip most of the day.
//! A closed day is compacted whether or not the batch has made it final; of an open one as much as fills slices.

use std::sync::atomic::{AtomicBool, Ordering};

use arrow::error::ArrowError;
use futures::stream::StreamExt;
use lake_delta::data_file::RollingWriter;
use lake_delta::log::FileEntry;
use lake_delta::{DataFile, Lake, LakeError, TableLog, TableSpec};
use lake_model::Day;
use lake_runtime::Shutdown;
use lake_tables::{Table, file_kind};

use super::STOPPED;
use super::plan::{self, Slicing};
use super::report::{MaintainReport, Rewritten};
use super::rewrite::{OVERTAKEN, swap, together};
use super::sorted::SortedRows;
use crate::context::Context;
use crate::error::BatchError;
use crate::{parallel, progress};

/// What compaction is called in a table's history.
pub(super) const OPERATION: &str = "COMPACT";

/// A day to be compacted.
#[derive(Clone, Copy, Debug)]
pub(super) struct CompactDay {
    pub(super) day: Day,
    /// Whether few events will land in it.
    pub(super) is_closed: bool,
}

/// Compacts a day of `events` as far as that is worth it.
pub(super) async fn day(
    context: &Context,
    events: &mut TableLog,
    CompactDay { day, is_closed }: CompactDay,
    report: &mut MaintainReport,
    shutdown: &Shutdown,
) -> Result<(), BatchError> {
    let table = Table::Events.spec();
    let target_bytes = context.settings.maintain.target_file_size;
    let files = events.state().files_of(day);
    let max_rows = context.settings.batch.max_rows_in_memory as u64;
    let slicing = Slicing::of(max_rows, parallel::processors());
    let slices = plan::slices(files, target_bytes, slicing.limits, is_closed);
    let inputs = slices.iter().flatten();
    let (files, rows) = (inputs.clone().count(), inputs.map(|file| file.rows).sum());
    if report.dry_run {
        if files > 0 {
            report.rewrote(Rewritten::new(table, Some(day), files));
        }
        return Ok(());
    }
    let bar = progress::rows(rows, format!("{day} compaction"));
    let write = |inputs: Vec<FileEntry>| {
        let lake = context.lake.clone();
        async move {
            let outputs = sorted_files(&lake, day, &inputs, target_bytes).await;
            (inputs, outputs)
        }
    };
    let mut rewritten = Rewritten { after: Some(0), ..Rewritten::new(table, Some(day), 0) };
    let mut left = files;
    // Whoever replaces the files of one slice is about to do the same to the others.
    let overtaken = AtomicBool::new(false);
    let goes_on = || !shutdown.is_requested() && !overtaken.load(Ordering::Relaxed);
    let tasks = slices.into_iter().take_while(|_| goes_on()).map(write);
    let mut written = std::pin::pin!(parallel::in_order(tasks, slicing.at_once));
    while let Some((inputs, outputs)) = written.next().await {
        left -= inputs.len();
        let swapped = match outputs {
            Ok(outputs) => {
                let after = outputs.len();
                swap(events, OPERATION, &inputs, outputs).await.map(|done| done.then_some(after))
            }
            Err(error) => Err(error),
        };
        match report.leave_at_fault(context, Table::Events, swapped).await? {
            Some(Some(after)) => {
                bar.inc(inputs.iter().map(|file| file.rows).sum());
                rewritten.before += inputs.len();
                rewritten.after = rewritten.after.map(|sum| sum + after);
            }
            Some(None) => overtaken.store(true, Ordering::Relaxed),
            None => {}
        }
    }
    bar.finish_and_clear();
    if rewritten.before > 0 {
        report.rewrote(rewritten);
    }
    if overtaken.load(Ordering::Relaxed) {
        report.leave(table, Some(day), OVERTAKEN.to_owned());
    } else if left > 0 {
        report.leave(table, Some(day), STOPPED.to_owned());
    }
    Ok(())
}

/// New files with the rows of `inputs`, sorted.
async fn sorted_files(
    lake: &Lake,
    day: Day,
    inputs: &[FileEntry],
    target_bytes: u64,
) -> Result<Vec<DataFile>, LakeError> {
    let rows = SortedRows::read(lake, inputs).await?;
    let damaged = |error: ArrowError| together(inputs, &error.to_string());
    let mut output = output(lake, Table::Events.spec(), Some(day), target_bytes);
    for batch in rows.batches() {
        output.push(&batch.map_err(damaged)?).await?;
        // What else waits for this processor, such as another upload, gets its turn.
        tokio::task::yield_now().await;
    }
    output.finish().await
}

/// The files that rows are compacted into.
pub(super) fn output<'a>(
    lake: &'a Lake,
    table: &'static TableSpec,
    day: Option<Day>,
    target_bytes: u64,
) -> RollingWriter<'a> {
    let new_file = move |id| file_kind::compacted(table, day, id);
    RollingWriter::new(lake, table, target_bytes, new_file)
}
