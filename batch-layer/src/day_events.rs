//! The distinct events of one day at one version of `events`, in bounded memory.
//!
//! A first pass counts the rows of each camera. Cameras, in byte order, are then grouped into ranges of at
//! most so many rows, and each range is read, sorted and freed of duplicates on its own: at no time is more
//! than one range held. A single camera is the smallest range.
//!
//! [`rows`] reads and sorts a range, [`windows`] walks over its windows.

mod rows;
mod windows;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError};
use lake_model::DaySpan;
use lake_tables::Table;

pub(crate) use self::rows::DistinctEvents;
use crate::cameras::{self, CameraRange};
use crate::scan::scan;

/// The files of one day with the cameras in them.
#[derive(Debug)]
pub(crate) struct DayEvents<'a> {
    lake: &'a Lake,
    span: DaySpan,
    files: Vec<FileEntry>,
    camera_counts: CameraCounts,
}

/// How many rows each camera has.
#[derive(Debug)]
pub(crate) struct CameraCounts {
    /// The cameras, in byte order.
    pub(crate) cameras: Vec<Arc<str>>,
    /// The rows of each camera.
    pub(crate) camera_rows: Vec<u64>,
    /// Rows in all.
    pub(crate) rows: u64,
    /// Rows marked late.
    pub(crate) late_rows: u64,
}

impl CameraCounts {
    /// Counts the rows of `files` of `events`.
    pub(crate) async fn count(lake: &Lake, files: &[FileEntry]) -> Result<CameraCounts, LakeError> {
        let mut cameras: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let mut late_rows = 0;
        scan(lake, Table::Events, files, &["camera_id", "late"], count, |counts: Counts| {
            late_rows += counts.late_rows;
            for (camera, rows) in counts.cameras {
                *cameras.entry(camera).or_default() += rows;
            }
        })
        .await?;
        let rows = cameras.values().sum();
        let (cameras, camera_rows) = cameras.into_iter().unzip();
        Ok(CameraCounts { cameras, camera_rows, rows, late_rows })
    }

    /// The cameras in ranges of at most `max_rows` rows.
    pub(crate) fn ranges(&self, max_rows: u64) -> Vec<CameraRange> {
        cameras::ranges(&self.cameras, |place| self.camera_rows[place], max_rows)
    }
}

impl<'a> DayEvents<'a> {
    /// Counts the events in `files`, which are those of the day of `span`.
    pub(crate) async fn open(
        lake: &'a Lake,
        span: DaySpan,
        files: Vec<FileEntry>,
    ) -> Result<DayEvents<'a>, LakeError> {
        let camera_counts = CameraCounts::count(lake, &files).await?;
        Ok(DayEvents { lake, span, files, camera_counts })
    }

    /// The lake that the events are in.
    pub(crate) fn lake(&self) -> &Lake {
        self.lake
    }

    /// The day's cameras and rows.
    pub(crate) fn camera_counts(&self) -> &CameraCounts {
        &self.camera_counts
    }

    /// The day and its bounds.
    pub(crate) fn span(&self) -> &DaySpan {
        &self.span
    }

    /// Makes sure that ranges of cameras had every row that was counted, when all of them were read.
    ///
    /// # Errors
    /// There were more or fewer: a file contradicts the log's bounds of its cameras.
    pub(crate) async fn check_all_read(&self, read: u64) -> Result<(), LakeError> {
        let counted = self.camera_counts.rows;
        if read == counted {
            return Ok(());
        }
        Err(cameras::unread(self.lake, &self.files, read, counted).await?)
    }

    /// Reads the distinct events of a range of cameras.
    pub(crate) async fn read(&self, range: &CameraRange) -> Result<DistinctEvents, LakeError> {
        let places: HashMap<Arc<str>, u32> = range
            .places
            .clone()
            .map(|at| {
                let place = u32::try_from(at).expect("a day has fewer cameras than 2^32");
                (Arc::clone(&self.camera_counts.cameras[at]), place)
            })
            .collect();
        let files: Vec<FileEntry> =
            self.files.iter().filter(|file| range.span.may_be_in(file)).cloned().collect();
        let mut all = rows::Rows::default();
        let (day, span) = (self.span, range.span.clone());
        let extract = move |batch: &RecordBatch| rows::extract(batch, &day, &span, &places);
        scan(self.lake, Table::Events, &files, &rows::COLUMNS, extract, |rows| all.append(rows))
            .await?;
        Ok(all.into_distinct())
    }
}

struct Counts {
    cameras: Vec<(Arc<str>, u64)>,
    late_rows: u64,
}

fn count(batch: &RecordBatch) -> Result<Counts, ColumnError> {
    let ids = columns::string(batch, "camera_id")?;
    let mut cameras: HashMap<&str, u64> = HashMap::new();
    for row in 0..batch.num_rows() {
        *cameras.entry(ids.value(row)).or_default() += 1;
    }
    Ok(Counts {
        cameras: cameras.into_iter().map(|(camera, rows)| (camera.into(), rows)).collect(),
        late_rows: columns::boolean(batch, "late")?.true_count() as u64,
    })
}
