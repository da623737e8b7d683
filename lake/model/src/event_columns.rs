//! Accepted events of one partition, column by column, as the table holds them.
//!
//! The decoder fills the columns, the engine decides over them row by row, and the table uses them as they are: an
//! event's texts and numbers are copied once, out of Kafka's buffer.

mod text;

pub use self::text::{OptionalTextColumn, TextColumn};
use self::text::{trim, with_headroom};
use crate::offsets::Offset;
use crate::speed::Speed;
use crate::time::Timestamp;

/// One event, borrowed from wherever it was decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventRow<'a> {
    /// The camera as sent.
    pub camera_id: &'a str,
    /// When the camera saw the vehicle.
    pub event_time: Timestamp,
    /// The speed as sent, in km/h.
    pub speed_kmh: f64,
    /// The speed in thousandths.
    pub speed: Speed,
    /// The plate as sent.
    pub plate_number: Option<&'a str>,
    /// The remaining fields as a JSON object.
    pub extra: Option<&'a str>,
    /// The record's Kafka timestamp.
    pub kafka_timestamp: Timestamp,
    /// The record's offset.
    pub kafka_offset: Offset,
}

/// Events in the order of their offsets, column by column. All columns are of one length.
#[derive(Debug, Default)]
pub struct EventColumns {
    /// The cameras as sent.
    pub camera_id: TextColumn,
    /// When the cameras saw the vehicles, in microseconds since 1970.
    pub event_time: Vec<i64>,
    /// The speeds as sent, in km/h.
    pub speed_kmh: Vec<f64>,
    /// The speeds in thousandths.
    pub speed: Vec<Speed>,
    /// The plates as sent.
    pub plate_number: OptionalTextColumn,
    /// The remaining fields as JSON objects.
    pub extra: OptionalTextColumn,
    /// The records' Kafka timestamps, in microseconds since 1970.
    pub kafka_timestamp: Vec<i64>,
    /// The records' offsets.
    pub kafka_offset: Vec<i64>,
}

/// Bytes that a row occupies beside its texts; whether they are missing is two bits.
const FIXED_ROW_BYTES: usize = 4 * size_of::<i64>() + size_of::<Speed>() + 3 * size_of::<i32>() + 1;

impl EventColumns {
    /// Empty columns with room for about as much as these hold.
    #[must_use]
    pub fn with_as_much_room(&self) -> EventColumns {
        let rows = with_headroom(self.len());
        EventColumns {
            camera_id: self.camera_id.with_as_much_room(),
            event_time: Vec::with_capacity(rows),
            speed_kmh: Vec::with_capacity(rows),
            speed: Vec::with_capacity(rows),
            plate_number: self.plate_number.with_as_much_room(),
            extra: self.extra.with_as_much_room(),
            kafka_timestamp: Vec::with_capacity(rows),
            kafka_offset: Vec::with_capacity(rows),
        }
    }

    /// Gives back room that is not used, where it is much.
    pub fn trim(&mut self) {
        self.camera_id.trim();
        trim(&mut self.event_time);
        trim(&mut self.speed_kmh);
        trim(&mut self.speed);
        self.plate_number.trim();
        self.extra.trim();
        trim(&mut self.kafka_timestamp);
        trim(&mut self.kafka_offset);
    }

    /// Takes one event.
    #[inline]
    pub fn push(&mut self, row: &EventRow<'_>) {
        self.camera_id.push(row.camera_id);
        self.event_time.push(row.event_time.micros());
        self.speed_kmh.push(row.speed_kmh);
        self.speed.push(row.speed);
        self.plate_number.push(row.plate_number);
        self.extra.push(row.extra);
        self.kafka_timestamp.push(row.kafka_timestamp.micros());
        self.kafka_offset.push(row.kafka_offset.0);
    }

    /// The offset of the record at that row.
    ///
    /// # Panics
    /// Without such a row.
    #[inline]
    pub fn offset(&self, row: usize) -> Offset {
        Offset(self.kafka_offset[row])
    }

    /// The offset of the last record.
    pub fn last_offset(&self) -> Option<Offset> {
        self.kafka_offset.last().copied().map(Offset)
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.kafka_offset.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.kafka_offset.is_empty()
    }

    /// About how much memory the events occupy.
    pub fn bytes(&self) -> usize {
        let texts = self.camera_id.bytes() + self.plate_number.bytes() + self.extra.bytes();
        texts + self.len() * FIXED_ROW_BYTES
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::text::is_roomy;
    use super::*;

    fn event(offset: i64) -> EventRow<'static> {
        EventRow {
            camera_id: "KV1",
            event_time: Timestamp::from_micros(offset),
            speed_kmh: 50.0,
            speed: Speed::rounded(50.0),
            plate_number: (offset % 2 == 0).then_some("A123BC"),
            extra: Some("{\"note\":\"as long as a note is\"}"),
            kafka_timestamp: Timestamp::from_micros(offset),
            kafka_offset: Offset(offset),
        }
    }

    #[test]
    fn trimmed_columns_keep_their_rows_and_little_more_room() {
        let mut columns = EventColumns::default();
        (0..5000).for_each(|offset| columns.push(&event(offset)));
        columns.trim();
        assert_eq!((columns.len(), columns.last_offset()), (5000, Some(Offset(4999))));
        let room = columns.extra.0.values_capacity() + 8 * columns.event_time.capacity();
        let used = columns.extra.0.values_slice().len() + 8 * columns.event_time.len();
        assert!(room <= used + used / 8, "{room} bytes for {used}");
        assert!(!is_roomy(columns.camera_id.text.len(), columns.camera_id.text.capacity()));
        assert!(!is_roomy(columns.camera_id.bounds.len(), columns.camera_id.bounds.capacity()));
        let (extra, plates) = (columns.extra.into_array(), columns.plate_number.into_array());
        assert_eq!(Some(extra.value(4999)), event(4999).extra);
        assert!(plates.is_null(4999) && !plates.is_null(4998));
    }

    #[test]
    fn events_take_the_memory_of_their_texts_and_of_their_numbers() {
        let mut columns = EventColumns::default();
        assert!(columns.is_empty());
        assert_eq!((columns.len(), columns.bytes()), (0, 0));
        columns.push(&event(0));
        columns.push(&event(1));
        assert!(!columns.is_empty());
        let texts = 2 * "KV1".len() + "A123BC".len() + 2 * event(0).extra.map_or(0, str::len);
        // Four times eight bytes, the speed's four, four for the end of each text, and a few bits.
        assert_eq!((columns.len(), columns.bytes()), (2, texts + 2 * (32 + 4 + 12 + 1)));
    }

    #[test]
    fn columns_with_as_much_room_take_as_much_without_growing() {
        let mut columns = EventColumns::default();
        (0..5000).for_each(|offset| columns.push(&event(offset)));
        let mut next = columns.with_as_much_room();
        let room = |columns: &EventColumns| {
            let texts = &columns.extra.0;
            [
                columns.kafka_offset.capacity(),
                columns.camera_id.text.capacity(),
                columns.camera_id.bounds.capacity(),
                texts.offsets_capacity(),
                texts.values_capacity(),
            ]
        };
        let before = room(&next);
        (0..5000).for_each(|offset| next.push(&event(offset)));
        assert_eq!(before, room(&next));
        assert_eq!(next.camera_id.get(4999), "KV1");
    }
}
