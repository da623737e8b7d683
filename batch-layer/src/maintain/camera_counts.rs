//! How many rows each camera has in some files, so that they can be read in ranges of cameras.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError};
use lake_tables::Table;

use crate::cameras::{self, CameraRange};
use crate::scan::scan;

/// How many rows each camera has.
#[derive(Debug)]
pub(super) struct CameraCounts {
    /// The cameras, in byte order.
    cameras: Vec<Arc<str>>,
    /// The rows of each camera.
    camera_rows: Vec<u64>,
    /// Rows in all.
    pub(super) rows: u64,
}

impl CameraCounts {
    /// Counts the rows of `files` of `events`.
    pub(super) async fn count(lake: &Lake, files: &[FileEntry]) -> Result<CameraCounts, LakeError> {
        let mut cameras: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        scan(lake, Table::Events, files, &["camera_id"], count, |counts| {
            for (camera, rows) in counts {
                *cameras.entry(camera).or_default() += rows;
            }
        })
        .await?;
        let rows = cameras.values().sum();
        let (cameras, camera_rows) = cameras.into_iter().unzip();
        Ok(CameraCounts { cameras, camera_rows, rows })
    }

    /// The cameras in ranges of at most `max_rows` rows.
    pub(super) fn ranges(&self, max_rows: u64) -> Vec<CameraRange> {
        cameras::ranges(&self.cameras, |place| self.camera_rows[place], max_rows)
    }
}

fn count(batch: &RecordBatch) -> Result<Vec<(Arc<str>, u64)>, ColumnError> {
    let ids = columns::string(batch, "camera_id")?;
    let mut cameras: HashMap<&str, u64> = HashMap::new();
    for row in 0..batch.num_rows() {
        *cameras.entry(ids.value(row)).or_default() += 1;
    }
    Ok(cameras.into_iter().map(|(camera, rows)| (camera.into(), rows)).collect())
}
