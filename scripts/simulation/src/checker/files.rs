//! Data files in the store's history.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::log::{Log, State, Version};
use super::rows::{self, AverageRow, EventRow};
use super::violation::Violation;
use crate::truth::{History, ObjectVersion};

/// The data files, those that are read often kept as rows.
pub(super) struct Files<'a> {
    history: &'a History,
    events: RefCell<HashMap<String, Rc<[EventRow]>>>,
    averages: RefCell<HashMap<String, Rc<[AverageRow]>>>,
}

impl<'a> Files<'a> {
    pub(super) fn new(history: &'a History) -> Files<'a> {
        Files { history, events: RefCell::default(), averages: RefCell::default() }
    }

    /// The object that was at `path` when an entry of that place in the order of puts named it.
    pub(super) fn object_at(&self, path: &str, sequence: u64) -> Option<&'a ObjectVersion> {
        let versions = self.history.objects.get(path)?;
        versions.iter().rev().find(|version| version.sequence < sequence)
    }

    /// The rows of a file, as `read` takes them out of its batches.
    pub(super) fn read<T>(
        &self,
        table: &'static str,
        path: &str,
        read: impl Fn(&RecordBatch) -> Result<Vec<T>, String>,
    ) -> Result<Vec<T>, Box<Violation>> {
        let unreadable = |problem: String| Violation::unreadable(table, path, problem);
        let versions = self.history.objects.get(path).and_then(|versions| versions.last());
        let object = versions.ok_or_else(|| unreadable("no such object".to_owned()))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(object.bytes.clone())
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|error| unreadable(error.to_string()))?;
        let mut rows = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|error| unreadable(error.to_string()))?;
            rows.extend(read(&batch).map_err(unreadable)?);
        }
        Ok(rows)
    }

    /// The rows of a file of `events`.
    pub(super) fn events(&self, path: &str) -> Result<Rc<[EventRow]>, Box<Violation>> {
        cached(&self.events, path, || self.read(super::EVENTS, path, rows::events))
    }

    /// The rows of a file of `avg_speed`.
    pub(super) fn averages(&self, path: &str) -> Result<Rc<[AverageRow]>, Box<Violation>> {
        cached(&self.averages, path, || self.read(super::AVG_SPEED, path, rows::averages))
    }

    /// The rows of `events` of a day in some state of it.
    pub(super) fn events_of(
        &self,
        state: &State,
        day: jiff::civil::Date,
    ) -> Result<Vec<EventRow>, Box<Violation>> {
        let mut all = Vec::new();
        for file in state.files_of(day) {
            all.extend(self.events(&file.path)?.iter().cloned());
        }
        Ok(all)
    }

    /// The rows that commits which changed data added to a table, in order, with the version of each.
    pub(super) fn added<'l, T>(
        &self,
        log: &'l Log,
        read: impl Fn(&RecordBatch) -> Result<Vec<T>, String> + Copy,
    ) -> Result<Vec<(&'l Version, T)>, Box<Violation>> {
        let mut all = Vec::new();
        for version in &log.versions {
            for file in version.adds.iter().filter(|file| file.is_change) {
                let rows = self.read(log.table, &file.path, read)?;
                all.extend(rows.into_iter().map(|row| (version, row)));
            }
        }
        Ok(all)
    }
}

type Cache<T> = RefCell<HashMap<String, Rc<[T]>>>;

fn cached<T>(
    cache: &Cache<T>,
    path: &str,
    read: impl FnOnce() -> Result<Vec<T>, Box<Violation>>,
) -> Result<Rc<[T]>, Box<Violation>> {
    if let Some(rows) = cache.borrow().get(path) {
        return Ok(Rc::clone(rows));
    }
    let rows: Rc<[T]> = read()?.into();
    cache.borrow_mut().insert(path.to_owned(), Rc::clone(&rows));
    Ok(rows)
}
