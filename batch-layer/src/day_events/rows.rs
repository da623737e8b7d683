//! The events of a range of cameras, as small as the batch's figures allow.
//!
//! Plates are bytes in one buffer that rows point into. They matter only to recognise duplicates, and are looked
//! at only where everything else is equal.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use lake_delta::columns::{self, ColumnError};
use lake_model::{Day, DaySpan, Speed, Timestamp};

use crate::cameras::CameraSpan;

/// The columns that make an event's identity.
pub(super) const COLUMNS: [&str; 4] = ["camera_id", "event_time", "speed_kmh", "plate_number"];

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) event_time: Timestamp,
    pub(super) speed: Speed,
    /// The place of the camera in the day's list.
    pub(super) camera: u32,
    plate_at: usize,
    plate_bytes: u32,
}

/// The length that stands for no plate, which no plate has.
const NO_PLATE: u32 = u32::MAX;

/// Rows in the order they came, duplicates too.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    plates: Vec<u8>,
}

/// The distinct events of a range of cameras, by camera and event time.
#[derive(Debug)]
pub(crate) struct DistinctEvents {
    pub(super) rows: Vec<Row>,
    duplicates: u64,
}

/// Events that can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum EventsError {
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// A camera that the first pass did not count.
    #[error("the file changed while it was read")]
    Changed,
    /// An event of another day.
    #[error("an event of camera {camera} at {event_time} is not in {day}")]
    OtherDay { camera: String, event_time: Timestamp, day: Day },
}

/// The rows of `batch` whose cameras are in `span`; `places` holds the place of each of them.
pub(super) fn extract(
    batch: &RecordBatch,
    day: &DaySpan,
    span: &CameraSpan,
    places: &HashMap<Arc<str>, u32>,
) -> Result<Rows, EventsError> {
    let cameras = columns::string(batch, "camera_id")?;
    let times = columns::timestamp(batch, "event_time")?;
    let speeds = columns::double(batch, "speed_kmh")?;
    let plates = columns::string(batch, "plate_number")?;
    let mut rows = Rows::default();
    let mut last: Option<(&str, u32)> = None;
    for row in 0..batch.num_rows() {
        let id = cameras.value(row);
        let camera = match last {
            Some((held, place)) if held == id => place,
            _ if !span.contains(id) => continue,
            _ => *places.get(id).ok_or(EventsError::Changed)?,
        };
        last = Some((id, camera));
        let event_time = Timestamp::from_micros(times.value(row));
        if !day.contains(event_time) {
            return Err(EventsError::OtherDay { camera: id.to_owned(), event_time, day: day.day });
        }
        let plate = (!plates.is_null(row)).then(|| plates.value(row));
        rows.push(camera, event_time, Speed::rounded(speeds.value(row)), plate);
    }
    Ok(rows)
}

impl Rows {
    fn push(&mut self, camera: u32, event_time: Timestamp, speed: Speed, plate: Option<&str>) {
        let plate_bytes = plate.map_or(NO_PLATE, |plate| {
            u32::try_from(plate.len()).expect("Arrow's strings are shorter than 2^31 bytes")
        });
        let plate_at = self.plates.len();
        self.rows.push(Row { event_time, speed, camera, plate_at, plate_bytes });
        self.plates.extend_from_slice(plate.unwrap_or_default().as_bytes());
    }

    /// Adds the rows of `other`.
    pub(super) fn append(&mut self, other: Rows) {
        let shift = self.plates.len();
        self.plates.extend_from_slice(&other.plates);
        let shifted = |row: Row| Row { plate_at: row.plate_at + shift, ..row };
        self.rows.extend(other.rows.into_iter().map(shifted));
    }

    /// Sorts the rows and drops those that equal another in camera, event time, thousandths and plate.
    pub(super) fn into_distinct(self) -> DistinctEvents {
        let Rows { mut rows, plates } = self;
        rows.sort_unstable_by(|a, b| compare(a, b, &plates));
        let read = rows.len();
        rows.dedup_by(|a, b| compare(a, b, &plates) == Ordering::Equal);
        let duplicates = (read - rows.len()) as u64;
        DistinctEvents { rows, duplicates }
    }
}

impl DistinctEvents {
    /// Rows that repeated another.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Rows, repeated ones too.
    pub(crate) fn rows_read(&self) -> u64 {
        self.len() + self.duplicates
    }

    /// Distinct events.
    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }
}

fn compare(a: &Row, b: &Row, plates: &[u8]) -> Ordering {
    (a.camera, a.event_time, a.speed)
        .cmp(&(b.camera, b.event_time, b.speed))
        .then_with(|| plate(a, plates).cmp(&plate(b, plates)))
}

fn plate<'a>(row: &Row, plates: &'a [u8]) -> Option<&'a [u8]> {
    let end = row.plate_at + row.plate_bytes as usize;
    (row.plate_bytes != NO_PLATE).then(|| &plates[row.plate_at..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distinct(events: &[(u32, i64, u32, Option<&str>)]) -> (usize, u64) {
        let (mut left, mut right) = (Rows::default(), Rows::default());
        for (at, (camera, time, speed, plate)) in events.iter().enumerate() {
            let part = if at % 2 == 0 { &mut left } else { &mut right };
            let time = Timestamp::from_micros(*time);
            part.push(*camera, time, Speed::from_thousandths(*speed), *plate);
        }
        left.append(right);
        let distinct = left.into_distinct();
        (distinct.rows.len(), distinct.duplicates())
    }

    #[test]
    fn events_equal_in_every_part_of_their_identity_count_once() {
        let event = (1, 10, 50_000, Some("А123ВС77"));
        assert_eq!(distinct(&[event, event, event]), (1, 2));
        assert_eq!(distinct(&[(1, 10, 5, None), (1, 10, 5, None)]), (1, 1));
    }

    #[test]
    fn events_that_differ_in_any_part_are_all_kept() {
        let events = [
            (1, 10, 5, Some("A")),
            (2, 10, 5, Some("A")),
            (1, 11, 5, Some("A")),
            (1, 10, 6, Some("A")),
            (1, 10, 5, Some("B")),
            (1, 10, 5, Some("AA")),
            (1, 10, 5, Some("")),
            (1, 10, 5, None),
        ];
        assert_eq!(distinct(&events), (8, 0));
    }
}
