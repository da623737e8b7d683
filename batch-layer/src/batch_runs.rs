//! The record of runs: the rows of `batch_runs`, followed and appended to.
//!
//! # Consistency
//! Rows are appended by compare and swap. If another writer is faster, what it wrote is read, and only rows that
//! are still missing are appended: however many processes append a row, it is there once.

use std::collections::BTreeMap;

use lake_delta::{Commit, CommitDecision, LakeError, TableLog, commit_with, data_file, read};
use lake_model::Day;
use lake_tables::batch_runs::{self, BatchRun};
use lake_tables::{Table, file_kind};

use crate::context::Context;
use crate::error::BatchError;

/// The rows of `batch_runs` at the version followed to.
#[derive(Debug)]
pub(crate) struct BatchRuns {
    log: TableLog,
    rows: Rows,
}

impl BatchRuns {
    /// Reads the table.
    pub(crate) async fn open(context: &Context) -> Result<BatchRuns, BatchError> {
        let log = context.open(Table::BatchRuns).await?;
        let mut rows = Rows::default();
        rows.read(&log).await?;
        Ok(BatchRuns { log, rows })
    }

    /// Reads what was appended since.
    pub(crate) async fn refresh(&mut self) -> Result<(), LakeError> {
        self.log.refresh().await?;
        self.rows.read(&self.log).await
    }

    /// The row of `run_id` for `day`.
    pub(crate) fn find(&self, run_id: &str, day: Day) -> Option<&BatchRun> {
        self.rows.find(run_id, day)
    }

    /// The rows of `day`, oldest first.
    pub(crate) fn of_day(&self, day: Day) -> Vec<&BatchRun> {
        self.rows.of_day(day)
    }

    /// Appends those of `added` that are missing; returns how many they were.
    pub(crate) async fn append(&mut self, added: &[BatchRun]) -> Result<usize, LakeError> {
        let BatchRuns { log, rows } = self;
        let appended = commit_with(log, async |log: &TableLog| {
            rows.read(log).await?;
            let missing: Vec<BatchRun> =
                added.iter().filter(|run| !rows.has(run)).cloned().collect();
            if missing.is_empty() {
                return Ok(CommitDecision::Nothing(0));
            }
            let lake = log.lake();
            let new = file_kind::unpartitioned(lake.unique_id());
            let batch = batch_runs::batch(&missing);
            let file = data_file::write(lake, Table::BatchRuns, new, &batch).await?;
            let commit = Commit::new(lake, "RECORD BATCH RUNS").add([file]);
            Ok::<_, LakeError>(CommitDecision::Commit(commit, missing.len()))
        });
        let appended = appended.await?.value;
        rows.read(log).await?;
        Ok(appended)
    }
}

/// The rows of every file.
#[derive(Debug, Default)]
struct Rows {
    files: BTreeMap<String, Vec<BatchRun>>,
}

impl Rows {
    fn find(&self, run_id: &str, day: Day) -> Option<&BatchRun> {
        self.of_day(day).into_iter().find(|run| run.run_id == run_id)
    }

    fn of_day(&self, day: Day) -> Vec<&BatchRun> {
        let mut runs: Vec<&BatchRun> =
            self.files.values().flatten().filter(|run| run.day() == day).collect();
        runs.sort_by_key(|run| run.finished_at);
        runs
    }

    fn has(&self, run: &BatchRun) -> bool {
        self.find(&run.run_id, run.day()).is_some()
    }

    /// Reads the files of `log` that were not read before.
    async fn read(&mut self, log: &TableLog) -> Result<(), LakeError> {
        let state = log.state();
        self.files.retain(|path, _| state.file(path).is_some());
        for file in state.files() {
            if self.files.contains_key(&file.path) {
                continue;
            }
            let lake = log.lake();
            let rows = read::collect(lake, Table::BatchRuns, [file], &[], batch_runs::rows).await?;
            self.files.insert(file.path.clone(), rows);
        }
        Ok(())
    }
}
