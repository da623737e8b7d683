//! Accepted events of one partition, column by column, as the table holds them.
//!
//! The decoder fills the columns, the engine judges them row by row, and the table takes them over as they are: an
//! event's texts and numbers are copied once, out of Kafka's buffer.

use crate::speed::Speed;
use crate::time::EventTime;

/// One event, borrowed from wherever it was decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventRow<'a> {
    /// The camera as sent.
    pub camera_id: &'a str,
    /// When the camera saw the vehicle.
    pub event_time: EventTime,
    /// The speed as sent, in km/h.
    pub speed_kmh: f64,
    /// The speed in thousandths.
    pub speed: Speed,
    /// The plate as sent.
    pub plate_number: Option<&'a str>,
    /// The remaining fields as a JSON object.
    pub extra: Option<&'a str>,
    /// The record's Kafka timestamp.
    pub kafka_timestamp: EventTime,
    /// The record's offset.
    pub kafka_offset: i64,
}

/// Events in the order of their offsets, column by column. All columns are of one length.
#[derive(Clone, Debug, Default)]
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

/// Texts one after another, with the places where they end.
#[derive(Clone, Debug)]
pub struct TextColumn {
    text: String,
    /// 0, and where each text ends.
    bounds: Vec<i32>,
}

/// Texts of which some may be missing.
#[derive(Clone, Debug, Default)]
pub struct OptionalTextColumn {
    texts: TextColumn,
    is_present: Vec<bool>,
}

/// Bytes that a row takes beside its texts.
const FIXED_ROW_BYTES: usize =
    4 * size_of::<i64>() + size_of::<Speed>() + 3 * size_of::<i32>() + 2 * size_of::<bool>();

impl EventColumns {
    /// Empty columns with room for `rows` of about the size of those in `like`.
    pub fn with_room_for(rows: usize, like: &EventColumns) -> EventColumns {
        let of = |column: &TextColumn| column.with_room_for(rows);
        let optional = |column: &OptionalTextColumn| OptionalTextColumn {
            texts: of(&column.texts),
            is_present: Vec::with_capacity(rows),
        };
        EventColumns {
            camera_id: of(&like.camera_id),
            event_time: Vec::with_capacity(rows),
            speed_kmh: Vec::with_capacity(rows),
            speed: Vec::with_capacity(rows),
            plate_number: optional(&like.plate_number),
            extra: optional(&like.extra),
            kafka_timestamp: Vec::with_capacity(rows),
            kafka_offset: Vec::with_capacity(rows),
        }
    }

    /// Takes one event.
    pub fn push(&mut self, row: &EventRow<'_>) {
        self.camera_id.push(row.camera_id);
        self.event_time.push(row.event_time.micros());
        self.speed_kmh.push(row.speed_kmh);
        self.speed.push(row.speed);
        self.plate_number.push(row.plate_number);
        self.extra.push(row.extra);
        self.kafka_timestamp.push(row.kafka_timestamp.micros());
        self.kafka_offset.push(row.kafka_offset);
    }

    /// Events taken.
    pub fn len(&self) -> usize {
        self.kafka_offset.len()
    }

    /// Whether no event was taken.
    pub fn is_empty(&self) -> bool {
        self.kafka_offset.is_empty()
    }

    /// About how much memory the events take.
    pub fn bytes(&self) -> usize {
        let text = self.camera_id.text.len()
            + self.plate_number.texts.text.len()
            + self.extra.texts.text.len();
        text + self.len() * FIXED_ROW_BYTES
    }
}

impl TextColumn {
    /// Takes one text.
    ///
    /// # Panics
    /// Past 2 GiB of text, which no batch of records comes near.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.bounds.push(i32::try_from(self.text.len()).expect("columns hold less than 2 GiB"));
    }

    /// The text of that row.
    ///
    /// # Panics
    /// Without such a row.
    pub fn get(&self, row: usize) -> &str {
        let bound = |at: usize| self.bounds[at].cast_unsigned() as usize;
        &self.text[bound(row)..bound(row + 1)]
    }

    /// All texts one after another; 0 and where each ends.
    pub fn into_parts(self) -> (String, Vec<i32>) {
        (self.text, self.bounds)
    }

    fn with_room_for(&self, rows: usize) -> TextColumn {
        let bytes = self.text.len() / (self.bounds.len() - 1).max(1) * rows;
        let mut bounds = Vec::with_capacity(rows + 1);
        bounds.push(0);
        TextColumn { text: String::with_capacity(bytes), bounds }
    }
}

impl Default for TextColumn {
    fn default() -> TextColumn {
        TextColumn { text: String::new(), bounds: vec![0] }
    }
}

impl OptionalTextColumn {
    /// Takes one text, or that there is none.
    pub fn push(&mut self, text: Option<&str>) {
        self.texts.push(text.unwrap_or_default());
        self.is_present.push(text.is_some());
    }

    /// The text of that row, if there is one.
    ///
    /// # Panics
    /// Without such a row.
    pub fn get(&self, row: usize) -> Option<&str> {
        self.is_present[row].then(|| self.texts.get(row))
    }

    /// No text is present any more: a deliberate defect.
    pub fn clear(&mut self) {
        self.is_present.fill(false);
    }

    /// All texts one after another, missing ones empty; whether each is present.
    pub fn into_parts(self) -> (TextColumn, Vec<bool>) {
        (self.texts, self.is_present)
    }
}
