//! The record of runs: the rows of `batch_runs`, followed and appended to.
//!
//! # Consistency
//! Rows are appended by compare and swap. If another writer is faster, what it wrote is read, and only rows that
//! are still missing are appended: however many processes append a row, it is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lake_delta::{Commit, CommitDecision, LakeError, TableLog, commit_with, data_file, read};
use lake_model::{Day, TableVersion};
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
    pub(crate) fn of_day(&self, day: Day) -> impl DoubleEndedIterator<Item = &BatchRun> {
        self.rows.of_day(day)
    }

    /// The rows of `run_id`, by day.
    pub(crate) fn of_run<'a>(&'a self, run_id: &'a str) -> impl Iterator<Item = &'a BatchRun> {
        self.days().filter_map(|day| self.find(run_id, day))
    }

    /// The days with rows.
    pub(crate) fn days(&self) -> impl Iterator<Item = Day> {
        self.rows.days.keys().copied()
    }

    /// Appends those of `added` that are missing; returns how many they were.
    pub(crate) async fn append(&mut self, added: &[BatchRun]) -> Result<usize, LakeError> {
        let BatchRuns { log, rows } = self;
        let appended = commit_with(log, async |log: &TableLog| {
            rows.read(log).await?;
            let missing: Vec<BatchRun> =
                added.iter().filter(|run| !rows.has(run)).cloned().collect();
            if missing.is_empty() {
                return Ok(CommitDecision::Nothing(None));
            }
            let lake = log.lake();
            let new = file_kind::unpartitioned(lake.unique_id());
            let batch = batch_runs::batch(&missing);
            let file = data_file::write(lake, Table::BatchRuns, new, &batch).await?;
            let path = file.path.clone();
            let commit = Commit::new(lake, "RECORD BATCH RUNS").add([file]);
            Ok::<_, LakeError>(CommitDecision::Commit(commit, Some((path, missing))))
        });
        let committed = appended.await?;
        let Some((path, runs)) = committed.value else { return Ok(0) };
        let count = runs.len();
        // The version committed is the next one after that which was read.
        rows.add(&path, runs);
        rows.version = committed.version;
        Ok(count)
    }
}

/// The rows of every file, by their day.
#[derive(Debug, Default)]
struct Rows {
    /// The version that they are of.
    version: Option<TableVersion>,
    files: BTreeSet<String>,
    days: BTreeMap<Day, Vec<Row>>,
}

/// A row and the file that it is from.
#[derive(Debug)]
struct Row {
    file: Arc<str>,
    run: BatchRun,
}

impl Rows {
    fn find(&self, run_id: &str, day: Day) -> Option<&BatchRun> {
        self.of_day(day).find(|run| run.run_id == run_id)
    }

    fn of_day(&self, day: Day) -> impl DoubleEndedIterator<Item = &BatchRun> {
        self.days.get(&day).into_iter().flatten().map(|row| &row.run)
    }

    fn has(&self, run: &BatchRun) -> bool {
        self.find(&run.run_id, run.day()).is_some()
    }

    /// Reads the files of `log` that were not read before, and forgets the rows of those that are gone.
    async fn read(&mut self, log: &TableLog) -> Result<(), LakeError> {
        let state = log.state();
        if self.version == Some(state.version()) {
            return Ok(());
        }
        if self.files.iter().any(|path| state.file(path).is_none()) {
            self.files.retain(|path| state.file(path).is_some());
            for rows in self.days.values_mut() {
                rows.retain(|row| self.files.contains(&*row.file));
            }
        }
        for file in state.files() {
            if self.files.contains(&file.path) {
                continue;
            }
            let lake = log.lake();
            let runs = read::collect(lake, Table::BatchRuns, [file], &[], batch_runs::rows).await?;
            self.add(&file.path, runs);
        }
        self.version = Some(state.version());
        Ok(())
    }

    fn add(&mut self, path: &str, runs: Vec<BatchRun>) {
        let file: Arc<str> = path.into();
        for run in runs {
            let rows = self.days.entry(run.day()).or_default();
            rows.push(Row { file: Arc::clone(&file), run });
            rows.sort_by_key(|row| row.run.finished_at);
        }
        self.files.insert(path.to_owned());
    }
}
