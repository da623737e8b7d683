//! `batch_runs`: one row per recomputed day.
//!
//! A row is first written, as JSON, into the commit that makes its day final, so that a run that is killed
//! before it appends the row here leaves it to the next run.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use lake_delta::TableSpec;
use lake_model::{Day, TableVersion};
use serde::{Deserialize, Serialize};

use super::encoding::encode;
use super::{Table, required, timestamp};
use lake_delta::columns::{self, ColumnError, double, long, string};

/// The table.
pub(crate) static SPEC: TableSpec = TableSpec {
    name: "batch_runs",
    partition_column: None,
    file_schema: LazyLock::new(|| Arc::new(Schema::new(fields()))),
    schema: || Schema::new(fields()),
    comments: &[
        (
            "drift_max_kmh",
            "largest change of an average, to the thousandth, among windows before and after",
        ),
        ("late_rows", "counted before duplicates were dropped"),
    ],
    without_bounds: &["run_id", "kafka_offsets"],
    encoding: encode,
};

fn fields() -> Vec<Field> {
    vec![
        required("run_id", DataType::Utf8),
        required("event_date", DataType::Date32),
        required("events_version", DataType::Int64),
        required("kafka_offsets", DataType::Utf8),
        required("rows_read", DataType::Int64),
        required("duplicates_dropped", DataType::Int64),
        required("late_rows", DataType::Int64),
        required("cameras", DataType::Int64),
        required("rows_written", DataType::Int64),
        required("drift_windows", DataType::Int64),
        required("drift_max_kmh", DataType::Float64),
        required("started_at", timestamp()),
        required("finished_at", timestamp()),
    ]
}

/// One row: a day that a batch run recomputed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchRun {
    /// The run; a run that recomputes several days has a row for each.
    pub run_id: String,
    /// The day, in days since 1970-01-01.
    pub event_date: i32,
    /// The version of `events` that was read.
    pub events_version: TableVersion,
    /// JSON object: partition to the next offset that the version covers.
    pub kafka_offsets: String,
    /// The day's rows at that version.
    pub rows_read: i64,
    /// Rows that repeat another.
    pub duplicates_dropped: i64,
    /// Rows marked late, before duplicates are dropped.
    pub late_rows: i64,
    /// Cameras with rows.
    pub cameras: i64,
    /// Rows written to `avg_speed`.
    pub rows_written: i64,
    /// Windows whose count or sum changed against the rows replaced, or that only one side has.
    pub drift_windows: i64,
    /// Greatest change of an average among windows on both sides, in km/h.
    pub drift_max_kmh: f64,
    /// When the day's computation began, in microseconds since 1970.
    pub started_at: i64,
    /// When it ended, in microseconds since 1970.
    pub finished_at: i64,
}

impl BatchRun {
    /// The day.
    pub fn day(&self) -> Day {
        Day::from_days(self.event_date)
    }
}

/// The rows as a batch of the table's file schema.
pub fn batch(runs: &[BatchRun]) -> RecordBatch {
    let text = |get: fn(&BatchRun) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(runs.iter().map(get)))
    };
    let long = |get: fn(&BatchRun) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(runs.iter().map(get)))
    };
    let time = |get: fn(&BatchRun) -> i64| -> ArrayRef {
        let values = TimestampMicrosecondArray::from_iter_values(runs.iter().map(get));
        Arc::new(values.with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        text(|run| &run.run_id),
        Arc::new(Date32Array::from_iter_values(runs.iter().map(|run| run.event_date))),
        long(|run| run.events_version.0),
        text(|run| &run.kafka_offsets),
        long(|run| run.rows_read),
        long(|run| run.duplicates_dropped),
        long(|run| run.late_rows),
        long(|run| run.cameras),
        long(|run| run.rows_written),
        long(|run| run.drift_windows),
        Arc::new(Float64Array::from_iter_values(runs.iter().map(|run| run.drift_max_kmh))),
        time(|run| run.started_at),
        time(|run| run.finished_at),
    ];
    RecordBatch::try_new(Table::BatchRuns.file_schema(), columns)
        .expect("the columns follow the schema")
}

/// The rows of a batch of the table.
pub fn rows(batch: &RecordBatch) -> Result<Vec<BatchRun>, ColumnError> {
    let (run_id, kafka_offsets) = (string(batch, "run_id")?, string(batch, "kafka_offsets")?);
    let event_date = columns::date(batch, "event_date")?;
    let drift_max_kmh = double(batch, "drift_max_kmh")?;
    let started_at = columns::timestamp(batch, "started_at")?;
    let finished_at = columns::timestamp(batch, "finished_at")?;
    let longs = |name| long(batch, name);
    let (events_version, rows_read) = (longs("events_version")?, longs("rows_read")?);
    let (duplicates, late_rows) = (longs("duplicates_dropped")?, longs("late_rows")?);
    let (cameras, rows_written) = (longs("cameras")?, longs("rows_written")?);
    let drift_windows = longs("drift_windows")?;
    let run = |row| BatchRun {
        run_id: run_id.value(row).to_owned(),
        event_date: event_date.value(row),
        events_version: TableVersion(events_version.value(row)),
        kafka_offsets: kafka_offsets.value(row).to_owned(),
        rows_read: rows_read.value(row),
        duplicates_dropped: duplicates.value(row),
        late_rows: late_rows.value(row),
        cameras: cameras.value(row),
        rows_written: rows_written.value(row),
        drift_windows: drift_windows.value(row),
        drift_max_kmh: drift_max_kmh.value(row),
        started_at: started_at.value(row),
        finished_at: finished_at.value(row),
    };
    Ok((0..run_id.len()).map(run).collect())
}
