//! What `avg_speed` holds of windows: count and sum, merged over the rows of several Kafka partitions.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError};
use lake_model::{Speed, Summary, Timestamp, WindowSize};
use lake_tables::Table;

use crate::cameras::CameraSpan;
use crate::scan::{Columns, always, of_any_file, scan};

const COLUMNS: Columns =
    Columns::named(&["camera_id", "window_start", "window_size", "vehicle_count", "speed_sum_kmh"]);

/// Windows that are compared at a time, so that memory stays bounded.
pub(crate) const MAX_WINDOWS: u64 = 1_000_000;

/// A camera's window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WindowKey {
    pub(crate) camera: Arc<str>,
    pub(crate) size: WindowSize,
    pub(crate) start: Timestamp,
}

/// Count of events and sum of their speeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    /// In thousandths of km/h.
    pub(crate) sum: u64,
}

impl Totals {
    /// The average in km/h.
    pub(crate) fn average_kmh(self) -> f64 {
        let any = Speed::default();
        Summary::from_parts(self.count, self.sum, any, any, None).average_kmh()
    }
}

/// The totals of every window that `files` of `avg_speed` hold of cameras in `span`.
pub(crate) async fn read(
    lake: &Lake,
    files: &[FileEntry],
    span: &CameraSpan,
) -> Result<HashMap<WindowKey, Totals>, LakeError> {
    let files: Vec<FileEntry> = files.iter().filter(|file| span.may_be_in(file)).cloned().collect();
    let span = span.clone();
    let mut totals: HashMap<WindowKey, Totals> = HashMap::new();
    let extract = of_any_file(move |batch: &RecordBatch| extract(batch, &span));
    let add = always(|rows: Vec<(WindowKey, Totals)>| {
        for (key, row) in rows {
            let held = totals.entry(key).or_default();
            held.count += row.count;
            held.sum += row.sum;
        }
    });
    scan(lake, Table::AvgSpeed, &files, COLUMNS, extract, add, Err).await?;
    Ok(totals)
}

/// Rows that totals can't be read from.
#[derive(Debug, thiserror::Error)]
enum TotalsError {
    #[error(transparent)]
    Column(#[from] ColumnError),
    #[error("{0:?} is no window_size")]
    WindowSize(String),
    #[error("a negative vehicle_count")]
    NegativeCount,
    #[error("a negative speed_sum_kmh")]
    NegativeSum,
}

fn extract(
    batch: &RecordBatch,
    span: &CameraSpan,
) -> Result<Vec<(WindowKey, Totals)>, TotalsError> {
    let cameras = columns::string(batch, "camera_id")?;
    let starts = columns::timestamp(batch, "window_start")?;
    let sizes = columns::string(batch, "window_size")?;
    let counts = columns::long(batch, "vehicle_count")?;
    let sums = columns::decimal(batch, "speed_sum_kmh")?;
    let mut rows: Vec<(WindowKey, Totals)> = Vec::new();
    for row in (0..batch.num_rows()).filter(|row| span.contains(cameras.value(*row))) {
        let id = cameras.value(row);
        let camera = match rows.last() {
            Some((last, _)) if &*last.camera == id => Arc::clone(&last.camera),
            _ => id.into(),
        };
        let size = WindowSize::parse(sizes.value(row))
            .ok_or_else(|| TotalsError::WindowSize(sizes.value(row).to_owned()))?;
        let start = Timestamp::from_micros(starts.value(row));
        let totals = Totals {
            count: u64::try_from(counts.value(row)).map_err(|_| TotalsError::NegativeCount)?,
            sum: u64::try_from(sums.value(row)).map_err(|_| TotalsError::NegativeSum)?,
        };
        rows.push((WindowKey { camera, size, start }, totals));
    }
    Ok(rows)
}
