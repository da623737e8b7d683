//! The distinct events of one day at one version of `events`, of which each row is read once, in bounded memory.
//!
//! [`collect`] reads the files and makes [`record`]s of their rows, which go to [`buckets`] of neighbouring cameras, in a local
//! file ([`spill`]) where they are more than may be held. Then the cameras and their rows are known. In byte order they are grouped into
//! ranges of at most so many rows, each within a bucket; a range is sorted and freed of duplicates on its own ([`distinct`]), one
//! on each processor at a time, and [`windows`] walks over its windows. A single camera is the smallest range.

mod buckets;
mod collect;
mod distinct;
mod record;
mod spill;
mod windows;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures::stream::Stream;
use lake_config::Settings;
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError};
use lake_model::DaySpan;
use lake_tables::Table;

use self::buckets::Buckets;
pub(crate) use self::collect::Covered;
use self::collect::{Cameras, Collector, Extractor};
pub(crate) use self::distinct::DistinctEvents;
use crate::cameras::{self, CameraRange};
use crate::parallel;
use crate::scan::scan;

/// What a record with a plate occupies, in bytes, as a rule at most.
const RECORD_BYTES: u64 = 32;
/// What each row of a window weighs, in records.
const WINDOW_WEIGHT: u64 = 6;
/// The windows of a camera in a day, of all sizes, in hours that are not repeated.
const WINDOWS: u64 = 288 + 24 + 1;

/// How much of a day may be held.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    max_rows: u64,
    spill_folder: PathBuf,
    /// Ranges that are worked on at once.
    ranges_at_once: usize,
}

impl Limits {
    /// Those of the settings and of the machine.
    pub(crate) fn of(settings: &Settings) -> Limits {
        let spill_folder = settings.batch.spill_folder.clone();
        Limits {
            max_rows: settings.batch.max_rows_in_memory as u64,
            spill_folder: spill_folder.unwrap_or_else(std::env::temp_dir),
            ranges_at_once: parallel::processors(),
        }
    }

    /// Bytes of records that may be held.
    fn held_bytes(&self) -> u64 {
        self.max_rows.saturating_mul(RECORD_BYTES)
    }

    /// The weight of a range: while some are worked on, the next ones wait to be written.
    fn range_weight(&self) -> u64 {
        (self.max_rows / (2 * self.ranges_at_once as u64)).max(1)
    }
}

/// What a camera with so many rows weighs, with the rows of its windows.
fn weight(rows: u64) -> u64 {
    rows.saturating_add(WINDOW_WEIGHT * rows.min(WINDOWS))
}

/// The events of one day.
#[derive(Debug)]
pub(crate) struct DayEvents {
    span: DaySpan,
    /// The cameras, in byte order.
    cameras: Vec<Arc<str>>,
    /// The rows of each camera.
    camera_rows: Vec<u64>,
    /// The place of each camera in that order, by its number in the records.
    places: Vec<usize>,
    rows: u64,
    late_rows: u64,
    buckets: Buckets,
    limits: Limits,
}

/// Cameras of a day whose events are worked on together.
#[derive(Clone, Debug)]
pub(crate) struct EventRange {
    pub(crate) cameras: CameraRange,
    bucket: usize,
}

impl DayEvents {
    /// Reads the events in `files`, which are those of the day of `span`, as far as they are `covered`, and calls `progress` with the
    /// rows of each piece.
    pub(crate) async fn read(
        lake: &Lake,
        span: DaySpan,
        files: &[FileEntry],
        covered: Covered,
        limits: Limits,
        progress: impl Fn(u64),
    ) -> Result<DayEvents, LakeError> {
        let cameras = Arc::new(Mutex::new(Cameras::default()));
        let columns = covered.columns();
        let extractor = Extractor { day: span, covered: Arc::new(covered), cameras };
        let expected_rows = files.iter().map(|file| file.rows).sum();
        let mut collector = Collector::new(extractor.clone(), &limits, expected_rows);
        let of_file = extractor.clone();
        let extract = move |file: &FileEntry, batch: &_| of_file.extract(file, batch);
        let add = |piece| {
            progress(collector.add(piece)?);
            Ok(())
        };
        scan(lake, Table::Events, files, columns, extract, add, Err).await?;
        let (rows, late_rows) = (collector.rows, collector.late_rows);
        let buckets = collector.finish()?;
        let met = extractor.into_cameras();
        let order = met.in_order();
        let mut places = vec![0; order.len()];
        for (place, number) in order.iter().enumerate() {
            places[*number as usize] = place;
        }
        let (cameras, camera_rows) = order
            .iter()
            .map(|number| *number as usize)
            .map(|number| (Arc::clone(&met.ids[number]), met.rows[number]))
            .unzip();
        Ok(DayEvents { span, cameras, camera_rows, places, rows, late_rows, buckets, limits })
    }

    /// The day and its bounds.
    pub(crate) fn span(&self) -> &DaySpan {
        &self.span
    }

    /// The cameras, in byte order.
    pub(crate) fn cameras(&self) -> &[Arc<str>] {
        &self.cameras
    }

    /// Rows in all, repeated ones too.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows marked late.
    pub(crate) fn late_rows(&self) -> u64 {
        self.late_rows
    }

    /// What `work` makes of the distinct events of each range of cameras, in their order. Several ranges are worked on at once.
    pub(crate) fn each_range<T, F>(
        self: &Arc<Self>,
        work: F,
    ) -> impl Stream<Item = Result<T, LakeError>> + Unpin + use<T, F>
    where
        T: Send + 'static,
        F: Fn(&DayEvents, &EventRange, &DistinctEvents) -> T + Send + Sync + 'static,
    {
        let (day, work) = (Arc::clone(self), Arc::new(work));
        let work_on = move |range: EventRange| {
            let (day, work) = (Arc::clone(&day), Arc::clone(&work));
            async move { Ok(work(&day, &range, &day.distinct(&range)?)) }
        };
        let tasks = self.ranges().into_iter().map(work_on);
        Box::pin(parallel::in_order(tasks, self.limits.ranges_at_once))
    }

    fn ranges(&self) -> Vec<EventRange> {
        let bucket_of = |place: usize| self.buckets.of(&self.cameras[place]);
        let weight = |place: usize| weight(self.camera_rows[place]);
        let begins = |place: usize| place > 0 && bucket_of(place) != bucket_of(place - 1);
        let max_weight = self.limits.range_weight();
        let ranges = cameras::ranges_between(&self.cameras, weight, max_weight, begins);
        let range = |cameras: CameraRange| {
            let bucket = cameras.places.clone().next().map_or(0, bucket_of);
            EventRange { cameras, bucket }
        };
        ranges.into_iter().map(range).collect()
    }

    fn distinct(&self, range: &EventRange) -> Result<DistinctEvents, LakeError> {
        let records = self.buckets.read(range.bucket)?;
        let place = |camera: u32| self.places[camera as usize];
        let rows = |place: usize| self.camera_rows[place];
        Ok(DistinctEvents::of(&records, range.cameras.places.clone(), place, rows))
    }
}

#[cfg(test)]
mod tests;
