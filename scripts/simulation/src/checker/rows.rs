//! The rows of data files as plain values.

use arrow::array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};

/// A row of `events`. Its day is that of its file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EventRow {
    pub(super) camera: String,
    pub(super) time_us: i64,
    pub(super) speed_kmh: f64,
    pub(super) plate: Option<String>,
    pub(super) extra: Option<String>,
    pub(super) kafka_timestamp_us: i64,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) late: bool,
}

/// A row of `dead_letters`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LetterRow {
    pub(super) reason: String,
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) kafka_timestamp_us: i64,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// A row of `offset_gaps`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GapRow {
    pub(super) partition: i32,
    pub(super) first: i64,
    pub(super) next: i64,
    pub(super) reason: String,
}

/// A row of `avg_speed`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AverageRow {
    pub(super) camera: String,
    pub(super) start_us: i64,
    pub(super) end_us: i64,
    pub(super) size: String,
    pub(super) partition: Option<i32>,
    pub(super) average_kmh: f64,
    pub(super) count: i64,
    /// Thousandths of km/h.
    pub(super) sum: i128,
    /// Minimum and maximum.
    pub(super) bounds_kmh: [f64; 2],
    /// The 50th, 85th and 95th percentile.
    pub(super) percentiles_kmh: [f64; 3],
    pub(super) over_limit: Option<i64>,
    pub(super) status: String,
    pub(super) events_version: Option<i64>,
}

/// A row of `batch_runs`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunRow {
    pub(super) run_id: String,
    pub(super) day: jiff::civil::Date,
    pub(super) events_version: i64,
    pub(super) kafka_offsets: String,
    pub(super) rows_read: i64,
    pub(super) duplicates: i64,
    pub(super) late_rows: i64,
    pub(super) cameras: i64,
    pub(super) rows_written: i64,
    pub(super) drift_windows: i64,
    pub(super) drift_max_kmh: f64,
    pub(super) started_us: i64,
    pub(super) finished_us: i64,
}

type Read<T> = Result<Vec<T>, String>;

pub(super) fn events(batch: &RecordBatch) -> Read<EventRow> {
    let (camera, plate, extra) =
        (text(batch, "camera_id")?, text(batch, "plate_number")?, text(batch, "extra")?);
    let (time, kafka) = (time(batch, "event_time")?, time(batch, "kafka_timestamp")?);
    let speed: &Float64Array = column(batch, "speed_kmh")?;
    let partition: &Int32Array = column(batch, "kafka_partition")?;
    let offset: &Int64Array = column(batch, "kafka_offset")?;
    let late: &BooleanArray = column(batch, "late")?;
    let row = |at| EventRow {
        camera: camera.value(at).to_owned(),
        time_us: time.value(at),
        speed_kmh: speed.value(at),
        plate: text_at(plate, at),
        extra: text_at(extra, at),
        kafka_timestamp_us: kafka.value(at),
        partition: partition.value(at),
        offset: offset.value(at),
        late: late.value(at),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

pub(super) fn letters(batch: &RecordBatch) -> Read<LetterRow> {
    let (reason, kafka) = (text(batch, "reason")?, time(batch, "kafka_timestamp")?);
    let (key, payload): (&BinaryArray, &BinaryArray) =
        (column(batch, "key")?, column(batch, "payload")?);
    let partition: &Int32Array = column(batch, "kafka_partition")?;
    let offset: &Int64Array = column(batch, "kafka_offset")?;
    let bytes = |array: &BinaryArray, at| array.is_valid(at).then(|| array.value(at).to_vec());
    let row = |at| LetterRow {
        reason: reason.value(at).to_owned(),
        key: bytes(key, at),
        payload: bytes(payload, at),
        kafka_timestamp_us: kafka.value(at),
        partition: partition.value(at),
        offset: offset.value(at),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

pub(super) fn gaps(batch: &RecordBatch) -> Read<GapRow> {
    let partition: &Int32Array = column(batch, "kafka_partition")?;
    let (first, next): (&Int64Array, &Int64Array) =
        (column(batch, "first_offset")?, column(batch, "next_offset")?);
    let reason = text(batch, "reason")?;
    let row = |at| GapRow {
        partition: partition.value(at),
        first: first.value(at),
        next: next.value(at),
        reason: reason.value(at).to_owned(),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

pub(super) fn averages(batch: &RecordBatch) -> Read<AverageRow> {
    let (camera, size, status) =
        (text(batch, "camera_id")?, text(batch, "window_size")?, text(batch, "status")?);
    let (start, end) = (time(batch, "window_start")?, time(batch, "window_end")?);
    let partition: &Int32Array = column(batch, "kafka_partition")?;
    let double = |name| column::<Float64Array>(batch, name);
    let (average, min, max) =
        (double("avg_speed_kmh")?, double("min_speed_kmh")?, double("max_speed_kmh")?);
    let (p50, p85, p95) =
        (double("p50_speed_kmh")?, double("p85_speed_kmh")?, double("p95_speed_kmh")?);
    let long = |name| column::<Int64Array>(batch, name);
    let (count, over, version) =
        (long("vehicle_count")?, long("over_limit_count")?, long("events_version")?);
    let sum: &Decimal128Array = column(batch, "speed_sum_kmh")?;
    if sum.scale() != 3 {
        return Err(format!("speed_sum_kmh has {} decimals, not 3", sum.scale()));
    }
    let row = |at| AverageRow {
        camera: camera.value(at).to_owned(),
        start_us: start.value(at),
        end_us: end.value(at),
        size: size.value(at).to_owned(),
        partition: partition.is_valid(at).then(|| partition.value(at)),
        average_kmh: average.value(at),
        count: count.value(at),
        sum: sum.value(at),
        bounds_kmh: [min.value(at), max.value(at)],
        percentiles_kmh: [p50.value(at), p85.value(at), p95.value(at)],
        over_limit: over.is_valid(at).then(|| over.value(at)),
        status: status.value(at).to_owned(),
        events_version: version.is_valid(at).then(|| version.value(at)),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

pub(super) fn runs(batch: &RecordBatch) -> Read<RunRow> {
    let (run_id, kafka_offsets) = (text(batch, "run_id")?, text(batch, "kafka_offsets")?);
    let day: &Date32Array = column(batch, "event_date")?;
    let long = |name| column::<Int64Array>(batch, name);
    let (version, rows_read, duplicates) =
        (long("events_version")?, long("rows_read")?, long("duplicates_dropped")?);
    let (late_rows, cameras, written) =
        (long("late_rows")?, long("cameras")?, long("rows_written")?);
    let (windows, max_kmh) =
        (long("drift_windows")?, column::<Float64Array>(batch, "drift_max_kmh")?);
    let (started, finished) = (time(batch, "started_at")?, time(batch, "finished_at")?);
    let row = |at| RunRow {
        run_id: run_id.value(at).to_owned(),
        day: date(day.value(at)),
        events_version: version.value(at),
        kafka_offsets: kafka_offsets.value(at).to_owned(),
        rows_read: rows_read.value(at),
        duplicates: duplicates.value(at),
        late_rows: late_rows.value(at),
        cameras: cameras.value(at),
        rows_written: written.value(at),
        drift_windows: windows.value(at),
        drift_max_kmh: max_kmh.value(at),
        started_us: started.value(at),
        finished_us: finished.value(at),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The date that many days after 1970-01-01.
fn date(days: i32) -> jiff::civil::Date {
    let first = jiff::civil::date(1970, 1, 1);
    first.saturating_add(jiff::Span::new().days(days))
}

fn column<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a T, String> {
    let found = batch.column_by_name(name).ok_or_else(|| format!("column {name} is missing"))?;
    let typed = found.as_any().downcast_ref();
    typed.ok_or_else(|| format!("column {name} is of type {}", found.data_type()))
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, String> {
    column(batch, name)
}

fn text_at(array: &StringArray, at: usize) -> Option<String> {
    array.is_valid(at).then(|| array.value(at).to_owned())
}

fn time<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a TimestampMicrosecondArray, String> {
    let found: &TimestampMicrosecondArray = column(batch, name)?;
    match found.timezone() {
        Some("UTC") => Ok(found),
        zone => Err(format!("column {name} has the time zone {zone:?}, not UTC")),
    }
}
