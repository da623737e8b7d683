//! Reading the files of a day, each once: their rows become records, and each camera gets a number.
//!
//! Records are held as they come until the file ends the day, or until they are more than may be held. Then the cameras seen so
//! far say how the rest will be distributed, and all that is held goes to a file in buckets, again and again, while more is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use lake_delta::LakeError;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_model::{Day, DaySpan, KafkaPartition, Offset, Speed, Timestamp};

use super::Limits;
use super::buckets::{Buckets, OpenBuckets};
use super::record::{self, Key};
use crate::cameras;
use crate::scan::Columns;

/// Which of the events in the files count.
#[derive(Clone, Debug)]
pub(crate) enum Covered {
    /// All of them.
    All,
    /// Those before these offsets of their Kafka partitions.
    Before(BTreeMap<KafkaPartition, Offset>),
}

impl Covered {
    /// The columns that make an event's identity, whether it was late, and what says whether it counts.
    pub(super) fn columns(&self) -> Columns {
        const ALL: &[&str] = &[
            "camera_id",
            "event_time",
            "speed_kmh",
            "plate_number",
            "late",
            "kafka_partition",
            "kafka_offset",
        ];
        let names = match self {
            Covered::All => &ALL[..5],
            Covered::Before(_) => ALL,
        };
        Columns { names, dictionaries: &["camera_id"] }
    }

    /// The rows of a batch that count.
    fn of<'a>(&self, batch: &'a RecordBatch) -> Result<Cow<'a, RecordBatch>, EventsError> {
        let Covered::Before(ends) = self else { return Ok(Cow::Borrowed(batch)) };
        let partitions = columns::int(batch, "kafka_partition")?;
        let offsets = columns::long(batch, "kafka_offset")?;
        let is_before = |row: usize| {
            let end = ends.get(&KafkaPartition(partitions.value(row)));
            end.is_some_and(|end| offsets.value(row) < end.0)
        };
        let covered: BooleanArray = (0..batch.num_rows()).map(|row| Some(is_before(row))).collect();
        Ok(Cow::Owned(filter_record_batch(batch, &covered)?))
    }
}

/// The cameras met so far, each with a number and the rows that it has.
#[derive(Debug, Default)]
pub(super) struct Cameras {
    numbers: HashMap<Arc<str>, u32>,
    pub(super) ids: Vec<Arc<str>>,
    pub(super) rows: Vec<u64>,
}

impl Cameras {
    /// Notes that the camera has so many rows more; returns its number.
    fn add(&mut self, id: &str, rows: u64) -> u32 {
        let number = self.numbers.get(id).copied().unwrap_or_else(|| {
            let number = u32::try_from(self.ids.len()).expect("a day has fewer cameras than 2^32");
            let id: Arc<str> = id.into();
            self.ids.push(Arc::clone(&id));
            self.rows.push(0);
            self.numbers.insert(id, number);
            number
        });
        self.rows[number as usize] += rows;
        number
    }

    /// The numbers of the cameras in the byte order of their ids.
    pub(super) fn in_order(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..).take(self.ids.len()).collect();
        numbers.sort_unstable_by(|a, b| self.ids[*a as usize].cmp(&self.ids[*b as usize]));
        numbers
    }
}

/// Rows of a batch as records.
pub(super) struct Piece {
    records: Vec<u8>,
    rows: u64,
    late_rows: u64,
}

/// Events that can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum EventsError {
    #[error(transparent)]
    Column(#[from] ColumnError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error("a row has no camera_id")]
    NoCamera,
    #[error("{0}")]
    OutsideBounds(String),
    /// An event of another day.
    #[error("an event of camera {camera} at {event_time} is not in {day}")]
    OtherDay { camera: String, event_time: Timestamp, day: Day },
    #[error("an event of camera {camera} has a speed of {kmh} km/h")]
    Speed { camera: String, kmh: f64 },
}

/// What the batches of a day's files become.
#[derive(Clone, Debug)]
pub(super) struct Extractor {
    pub(super) day: DaySpan,
    pub(super) covered: Arc<Covered>,
    pub(super) cameras: Arc<Mutex<Cameras>>,
}

impl Extractor {
    fn cameras(&self) -> MutexGuard<'_, Cameras> {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cameras met, once nothing is extracted any more.
    pub(super) fn into_cameras(self) -> Cameras {
        std::mem::take(&mut self.cameras())
    }

    /// The rows of a `batch` of `file`.
    pub(super) fn extract(
        &self,
        file: &FileEntry,
        batch: &RecordBatch,
    ) -> Result<Piece, EventsError> {
        let batch = &*self.covered.of(batch)?;
        let (camera_keys, ids) = columns::dictionary(batch, "camera_id")?;
        let times = columns::timestamp(batch, "event_time")?;
        let speeds = columns::double(batch, "speed_kmh")?;
        let plates = columns::string(batch, "plate_number")?;
        if camera_keys.null_count() > 0 {
            return Err(EventsError::NoCamera);
        }
        let place = |row: usize| usize::try_from(camera_keys.value(row)).unwrap_or(usize::MAX);
        let mut rows_of = vec![0_u64; ids.len()];
        for row in 0..batch.num_rows() {
            *rows_of.get_mut(place(row)).ok_or(EventsError::NoCamera)? += 1;
        }
        let bounds = cameras::Bounds::of(file);
        let used = |place: &usize| rows_of[*place] > 0;
        if let Some(problem) =
            (0..ids.len()).filter(used).find_map(|place| bounds.problem(ids.value(place)))
        {
            return Err(EventsError::OutsideBounds(problem));
        }
        let mut numbers = vec![0; ids.len()];
        let mut cameras = self.cameras();
        for place in (0..ids.len()).filter(used) {
            numbers[place] = cameras.add(ids.value(place), rows_of[place]);
        }
        drop(cameras);
        let mut records = Vec::with_capacity(32 * batch.num_rows());
        for row in 0..batch.num_rows() {
            let event_time = Timestamp::from_micros(times.value(row));
            let camera = || ids.value(place(row)).to_owned();
            if !self.day.contains(event_time) {
                let (camera, day) = (camera(), self.day.day);
                return Err(EventsError::OtherDay { camera, event_time, day });
            }
            let kmh = speeds.value(row);
            let key = Key::new(self.day.start, event_time, Speed::rounded(kmh))
                .ok_or_else(|| EventsError::Speed { camera: camera(), kmh })?;
            let plate = (!plates.is_null(row)).then(|| plates.value(row));
            record::push(&mut records, numbers[place(row)], key, plate);
        }
        let late_rows = columns::boolean(batch, "late")?.true_count() as u64;
        Ok(Piece { records, rows: batch.num_rows() as u64, late_rows })
    }
}

/// What was read so far.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    extractor: Extractor,
    limits: &'a Limits,
    /// Rows that the files hold by the log.
    expected_rows: u64,
    pieces: Vec<Vec<u8>>,
    held_bytes: u64,
    buckets: Option<OpenBuckets>,
    pub(super) rows: u64,
    pub(super) late_rows: u64,
}

impl<'a> Collector<'a> {
    pub(super) fn new(extractor: Extractor, limits: &'a Limits, expected_rows: u64) -> Self {
        Collector {
            extractor,
            limits,
            expected_rows,
            pieces: Vec::new(),
            held_bytes: 0,
            buckets: None,
            rows: 0,
            late_rows: 0,
        }
    }

    /// Adds a piece; returns its rows.
    pub(super) fn add(&mut self, piece: Piece) -> Result<u64, LakeError> {
        self.rows += piece.rows;
        self.late_rows += piece.late_rows;
        self.held_bytes += piece.records.len() as u64;
        self.pieces.push(piece.records);
        // The first rows say where buckets begin, and so are as many as may be. Later as much again may be on its way to the file.
        let share = if self.buckets.is_none() { 1 } else { 2 };
        if self.held_bytes > self.limits.held_bytes() / share {
            let limits = self.limits;
            self.distribute(|starts| OpenBuckets::in_file(starts, &limits.spill_folder))?;
        }
        Ok(piece.rows)
    }

    /// All records in buckets.
    pub(super) fn finish(mut self) -> Result<Buckets, LakeError> {
        self.distribute(|starts| Ok(OpenBuckets::in_memory(starts)))?;
        self.buckets.expect("they were just made").finish()
    }

    /// Moves what is held to the buckets, which are made by the cameras seen so far if there are none yet.
    fn distribute(
        &mut self,
        make: impl FnOnce(Vec<Arc<str>>) -> Result<OpenBuckets, LakeError>,
    ) -> Result<(), LakeError> {
        let cameras = self.extractor.cameras();
        let buckets = match self.buckets.take() {
            Some(buckets) => buckets,
            None => make(self.starts(&cameras))?,
        };
        let pieces = std::mem::take(&mut self.pieces);
        self.buckets = Some(buckets.with(pieces, &cameras.ids)?);
        self.held_bytes = 0;
        Ok(())
    }

    /// The cameras that buckets begin with, if the day's other rows are distributed as those seen so far.
    fn starts(&self, cameras: &Cameras) -> Vec<Arc<str>> {
        let numbers = cameras.in_order();
        let ids: Vec<Arc<str>> =
            numbers.iter().map(|number| Arc::clone(&cameras.ids[*number as usize])).collect();
        let seen: u64 = cameras.rows.iter().sum();
        let (all, seen) = (u128::from(self.expected_rows.max(seen)), u128::from(seen.max(1)));
        let weight = |place: usize| {
            let rows = u128::from(cameras.rows[numbers[place] as usize]) * all / seen;
            super::weight(u64::try_from(rows).unwrap_or(u64::MAX))
        };
        let ranges = cameras::ranges(&ids, weight, self.limits.range_weight());
        ranges.iter().skip(1).map(|range| Arc::clone(&ids[range.places.start])).collect()
    }
}
