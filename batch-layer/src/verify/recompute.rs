//! The figures of a day by Polars, from the day's files of `events`.
//!
//! It is a second opinion, so the rules are repeated here on purpose and shared with nothing that the batch computes with:
//! speeds and limits are rounded, duplicates dropped, windows assigned and figures computed by expressions of its own.
//! Cameras are read in ranges that are counted first, so that memory stays bounded; a file is held whole while it is
//! read.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use lake_delta::log::FileEntry;
use lake_delta::{LakeError, read};
use lake_model::DaySpan;
use lake_tables::Table;
use polars::prelude::*;

use super::figures::{Figures, Key};
use crate::cameras::{self, CameraRange};
use crate::context::Context;
use crate::error::BatchError;

const EVENT_COLUMNS: [&str; 4] = ["camera_id", "event_time", "speed_kmh", "plate_number"];

/// The lengths of window by the names that the table gives them, in microseconds; the day has none of its own.
const WINDOWS: [(&str, Option<i64>); 3] =
    [("5m", Some(300_000_000)), ("1h", Some(3_600_000_000)), ("24h", None)];

/// A day to be recomputed.
pub(super) struct Recomputation<'a> {
    context: &'a Context,
    span: DaySpan,
    files: Vec<FileEntry>,
    cameras: Vec<Arc<str>>,
    rows: Vec<u64>,
}

impl<'a> Recomputation<'a> {
    /// Counts the rows of each camera.
    pub(super) async fn open(
        context: &'a Context,
        span: DaySpan,
        files: Vec<FileEntry>,
    ) -> Result<Recomputation<'a>, BatchError> {
        let mut counts: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for file in &files {
            let bytes = bytes_of(context, Table::Events, file).await?;
            let counted = decoding(file, move || count(bytes, &span)).await?;
            let found = counted.iter().map(|(_, rows)| rows).sum::<u64>();
            if found != file.rows {
                let problem = format!("the log says {} rows, and Polars finds {found}", file.rows);
                return Err(LakeError::data_file(&file.path, problem).into());
            }
            for (camera, rows) in counted {
                *counts.entry(camera.into()).or_default() += rows;
            }
        }
        let (cameras, rows) = counts.into_iter().unzip();
        Ok(Recomputation { context, span, files, cameras, rows })
    }

    /// The day's cameras in ranges that fit in memory.
    pub(super) fn ranges(&self) -> Vec<CameraRange> {
        let max_rows = self.context.settings.batch.max_rows_in_memory as u64;
        cameras::ranges(&self.cameras, |place| self.rows[place], max_rows)
    }

    /// The figures of every window of the cameras in `range` that holds events.
    pub(super) async fn figures(
        &self,
        range: &CameraRange,
    ) -> Result<BTreeMap<Key, Figures>, BatchError> {
        let Some(last) = range.places.clone().last() else { return Ok(BTreeMap::new()) };
        let (first, last) = (&self.cameras[range.places.start], &self.cameras[last]);
        let mut events: Option<DataFrame> = None;
        for file in self.files.iter().filter(|file| range.span.may_be_in(file)) {
            let bytes = bytes_of(self.context, Table::Events, file).await?;
            let (first, last) = (first.to_string(), last.to_string());
            let part = decoding(file, move || read_range(bytes, &first, &last)).await?;
            events = Some(match events {
                None => part,
                Some(all) => all.vstack(&part).map_err(|source| failed(&self.span, source))?,
            });
        }
        let (Some(events), span) = (events, self.span) else { return Ok(BTreeMap::new()) };
        let limits = self.limits(range);
        let figures = blocking(move || recompute(&events, &span, &limits)).await;
        figures.map_err(|source| failed(&self.span, source))
    }

    /// The limits of cameras that have one, in thousandths of km/h.
    fn limits(&self, range: &CameraRange) -> BTreeMap<String, i64> {
        let limits = &self.context.settings.speed_limits;
        let cameras = self.cameras[range.places.clone()].iter();
        cameras.filter_map(|id| Some((id.to_string(), thousandths(limits.kmh(id)?)))).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "limits are at most 10,000 km/h")]
fn thousandths(kmh: f64) -> i64 {
    (kmh * 1000.0).round() as i64
}

fn failed(span: &DaySpan, source: PolarsError) -> BatchError {
    BatchError::Polars { day: span.day, source: Box::new(source) }
}

/// Polars computes on threads of its own and blocks until they are done.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// What `work` makes of the bytes of `file`, over which Polars may panic if they are damaged.
async fn decoding<T: Send + 'static>(
    file: &FileEntry,
    work: impl FnOnce() -> PolarsResult<T> + Send + 'static,
) -> Result<T, LakeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(decoded) => decoded.map_err(|error| LakeError::data_file(&file.path, error)),
        Err(error) => Err(LakeError::undecodable(&file.path, &*error.into_panic())),
    }
}

/// A file of `table` as the Polars reader needs it: whole, in memory.
async fn bytes_of(context: &Context, table: Table, file: &FileEntry) -> Result<Vec<u8>, LakeError> {
    Ok(read::whole(&*context.lake.table_store(table), file).await?.to_vec())
}

fn parse(bytes: Vec<u8>, columns: &[&str]) -> PolarsResult<DataFrame> {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    ParquetReader::new(Cursor::new(bytes)).with_columns(Some(columns)).finish()
}

/// The rows of each camera, all of which must be of the day.
fn count(bytes: Vec<u8>, span: &DaySpan) -> PolarsResult<Vec<(String, u64)>> {
    let rows = parse(bytes, &["camera_id", "event_time"])?.lazy();
    let micros = col("event_time").cast(DataType::Int64);
    let (start, end) = (lit(span.start.micros()), lit(span.end.micros()));
    let astray = rows.clone().filter(micros.clone().lt(start).or(micros.gt_eq(end))).collect()?;
    if astray.height() > 0 {
        polars_bail!(ComputeError: "{} of its events are not in {}", astray.height(), span.day);
    }
    let counts = rows
        .group_by([col("camera_id")])
        .agg([len().cast(DataType::Int64).alias("rows")])
        .collect()?;
    let (cameras, rows) = (counts.column("camera_id")?.str()?, counts.column("rows")?.i64()?);
    let pairs = cameras.iter().zip(rows.iter());
    Ok(pairs.filter_map(|(id, rows)| Some((id?.to_owned(), rows?.cast_unsigned()))).collect())
}

fn read_range(bytes: Vec<u8>, first: &str, last: &str) -> PolarsResult<DataFrame> {
    let within = col("camera_id").gt_eq(lit(first)).and(col("camera_id").lt_eq(lit(last)));
    parse(bytes, &EVENT_COLUMNS)?.lazy().filter(within).collect()
}

fn recompute(
    events: &DataFrame,
    span: &DaySpan,
    limits: &BTreeMap<String, i64>,
) -> PolarsResult<BTreeMap<Key, Figures>> {
    let distinct = distinct(events, limits)?;
    let mut all = BTreeMap::new();
    for (size, step) in WINDOWS {
        let length = step.unwrap_or(span.end.micros() - span.start.micros());
        let figures = aggregate(&distinct, span.start.micros(), length)?;
        collect(&figures, size, length, span, &mut all)?;
    }
    Ok(all)
}

/// The distinct events in the order of their speeds, with these in thousandths and the limits of their cameras.
fn distinct(events: &DataFrame, limits: &BTreeMap<String, i64>) -> PolarsResult<DataFrame> {
    let thousandths = (col("speed_kmh") * lit(1000.0)).round(0, RoundMode::HalfAwayFromZero);
    let mut distinct = events
        .clone()
        .lazy()
        .select([
            col("camera_id"),
            col("event_time").cast(DataType::Int64).alias("micros"),
            thousandths.cast(DataType::Int64).alias("speed"),
            col("plate_number"),
        ])
        .unique(None, UniqueKeepStrategy::Any)
        .sort(["speed"], SortMultipleOptions::default())
        .collect()?;
    let cameras = distinct.column("camera_id")?.str()?;
    let limits: Vec<Option<i64>> =
        cameras.iter().map(|id| limits.get(id.unwrap_or_default()).copied()).collect();
    distinct.with_column(Column::new("limit".into(), limits))?;
    Ok(distinct)
}

/// The figures of windows of that length. Rows of a group keep the order of the frame, so that a percentile is
/// the speed at its place.
fn aggregate(distinct: &DataFrame, start: i64, length: i64) -> PolarsResult<DataFrame> {
    let index = (col("micros") - lit(start)).floor_div(lit(length));
    let ranked = |percent: i64, name: &str| {
        let count = len().cast(DataType::Int64);
        let place = (count * lit(percent) + lit(99_i64)).floor_div(lit(100_i64)) - lit(1_i64);
        col("speed").get(place, false).alias(name)
    };
    let over_limit = col("speed").gt(col("limit")).cast(DataType::Int64).sum();
    distinct
        .clone()
        .lazy()
        .group_by([col("camera_id"), index.alias("window")])
        .agg([
            len().cast(DataType::Int64).alias("count"),
            col("speed").sum().alias("sum"),
            col("speed").min().alias("min"),
            col("speed").max().alias("max"),
            ranked(50, "p50"),
            ranked(85, "p85"),
            ranked(95, "p95"),
            over_limit.alias("over_limit"),
            col("limit").max().alias("limit"),
        ])
        .collect()
}

/// Collects the figures of one size of window out of the frame.
fn collect(
    figures: &DataFrame,
    size: &'static str,
    length: i64,
    span: &DaySpan,
    all: &mut BTreeMap<Key, Figures>,
) -> PolarsResult<()> {
    let cameras = figures.column("camera_id")?.str()?;
    let column = |name: &str| figures.column(name)?.i64();
    let (windows, counts, sums) = (column("window")?, column("count")?, column("sum")?);
    let (mins, maxs) = (column("min")?, column("max")?);
    let (p50s, p85s, p95s) = (column("p50")?, column("p85")?, column("p95")?);
    let (over_limits, limits) = (column("over_limit")?, column("limit")?);
    let kmh = |speeds: &Int64Chunked, row| speeds.get(row).map(|speed| speed as f64 / 1000.0);
    for row in 0..figures.height() {
        let (Some(camera), Some(window), Some(count), Some(sum)) =
            (cameras.get(row), windows.get(row), counts.get(row), sums.get(row))
        else {
            polars_bail!(ComputeError: "a window without a camera, a place or events");
        };
        let start = span.start.micros() + window * length;
        let figures = Figures {
            window_end: (start + length).min(span.end.micros()),
            count,
            sum_thousandths: sum.into(),
            average_kmh: sum as f64 / (1000 * count) as f64,
            speeds_kmh: [mins, maxs, p50s, p85s, p95s].map(|speeds| kmh(speeds, row)),
            over_limit: limits.get(row).and(over_limits.get(row)),
        };
        all.insert(Key { camera: camera.to_owned(), size: size.to_owned(), start }, figures);
    }
    Ok(())
}
