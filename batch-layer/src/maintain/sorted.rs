//! The rows of some files of `events`, whole, in the order of camera and event time.
//!
//! They are read once and held as they came. Only their places are sorted, and batches in that order are put together one at a
//! time while they are written.

use std::collections::HashMap;

use arrow::array::{
    Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError};
use lake_tables::Table;

use super::rewrite::together;
use crate::cameras;
use crate::scan::{Columns, always, conformed, scan};

/// Rows of a batch.
const BATCH_ROWS: usize = 65_536;

/// Rows with their order.
pub(super) struct SortedRows {
    batches: Vec<RecordBatch>,
    order: Vec<Place>,
}

/// Where a row is, and what it is sorted by.
#[derive(Clone, Copy)]
struct Place {
    /// The place of its camera among all, in byte order.
    camera: u32,
    event_time: i64,
    batch: u32,
    row: u32,
}

/// Rows that can't be used.
#[derive(Debug, thiserror::Error)]
enum RowsError {
    #[error(transparent)]
    Column(#[from] ColumnError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error("{0}")]
    OutsideBounds(String),
}

impl SortedRows {
    /// Those of `files`.
    pub(super) async fn read(lake: &Lake, files: &[FileEntry]) -> Result<SortedRows, LakeError> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        let hold = always(|batch| batches.push(batch));
        scan(lake, Table::Events, files, Columns::ALL, whole_rows, hold, Err).await?;
        let order = order(&batches).map_err(|error| together(files, &error.to_string()))?;
        Ok(SortedRows { batches, order })
    }

    /// The rows in their order.
    pub(super) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        self.order.chunks(BATCH_ROWS).map(move |places| {
            let places: Vec<(usize, usize)> =
                places.iter().map(|place| (place.batch as usize, place.row as usize)).collect();
            interleave_record_batch(&batches, &places)
        })
    }
}

fn whole_rows(file: &FileEntry, batch: &RecordBatch) -> Result<RecordBatch, RowsError> {
    if let Some(problem) = cameras::outside_bounds(file, columns::string(batch, "camera_id")?) {
        return Err(RowsError::OutsideBounds(problem));
    }
    Ok(conformed(batch, &Table::Events.file_schema())?)
}

/// The columns that rows are sorted by.
struct Sorting<'a> {
    cameras: &'a StringArray,
    event_times: &'a TimestampMicrosecondArray,
    partitions: &'a Int32Array,
    offsets: &'a Int64Array,
}

impl<'a> Sorting<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Sorting<'a>, ColumnError> {
        Ok(Sorting {
            cameras: columns::string(batch, "camera_id")?,
            event_times: columns::timestamp(batch, "event_time")?,
            partitions: columns::int(batch, "kafka_partition")?,
            offsets: columns::long(batch, "kafka_offset")?,
        })
    }
}

/// The rows by camera, event time and place in Kafka.
fn order(batches: &[RecordBatch]) -> Result<Vec<Place>, ColumnError> {
    let batches: Vec<Sorting<'_>> = batches.iter().map(Sorting::of).collect::<Result<_, _>>()?;
    let numbers = numbers(&batches);
    let mut order = Vec::with_capacity(batches.iter().map(|batch| batch.cameras.len()).sum());
    for (batch, rows) in (0..).zip(&batches) {
        let mut last: Option<(&str, u32)> = None;
        for (row, at) in (0..).zip(0..rows.cameras.len()) {
            let id = rows.cameras.value(at);
            let camera = match last {
                Some((last, camera)) if last == id => camera,
                _ => numbers[id],
            };
            last = Some((id, camera));
            order.push(Place { camera, event_time: rows.event_times.value(at), batch, row });
        }
    }
    let in_kafka = |place: &Place| {
        let (rows, row) = (&batches[place.batch as usize], place.row as usize);
        (rows.partitions.value(row), rows.offsets.value(row))
    };
    order.sort_unstable_by(|a, b| {
        let by_event = (a.camera, a.event_time).cmp(&(b.camera, b.event_time));
        by_event.then_with(|| in_kafka(a).cmp(&in_kafka(b)))
    });
    Ok(order)
}

/// The place of each camera among all, in byte order.
fn numbers<'a>(batches: &[Sorting<'a>]) -> HashMap<&'a str, u32> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    for batch in batches {
        for id in batch.cameras.iter().flatten() {
            numbers.entry(id).or_default();
        }
    }
    let mut ids: Vec<&str> = numbers.keys().copied().collect();
    ids.sort_unstable();
    numbers.extend(ids.into_iter().zip(0..));
    numbers
}
