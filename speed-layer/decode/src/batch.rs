//! Decoded records of one partition on their way to the engine, in a few large allocations.

use lake_model::{DeadLetter, EventTime, Speed};

use super::{EventFormat, Fields, decode};

/// A piece of a batch's text.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

/// Records of one partition, in the order of their offsets.
#[derive(Debug)]
pub struct DecodedBatch {
    /// The partition.
    pub partition: i32,
    /// The assignment that the records were fetched under.
    pub epoch: u64,
    text: String,
    records: Vec<DecodedRecord>,
    dead_bytes: usize,
}

/// A record.
#[derive(Debug)]
pub struct DecodedRecord {
    /// Its offset.
    pub offset: i64,
    /// Its Kafka timestamp.
    pub kafka_timestamp: EventTime,
    /// What it turned out to be.
    pub outcome: Outcome,
}

/// What a record turned out to be.
#[derive(Debug)]
pub enum Outcome {
    /// An event.
    Event(DecodedEvent),
    /// No event.
    DeadLetter(Box<DeadLetter>),
}

/// An event whose texts are in its batch.
#[derive(Debug)]
pub struct DecodedEvent {
    /// When the camera saw the vehicle.
    pub event_time: EventTime,
    /// The speed as sent, in km/h.
    pub speed_kmh: f64,
    /// The speed in thousandths.
    pub speed: Speed,
    camera_id: Span,
    plate_number: Option<Span>,
    extra: Option<Span>,
}

impl DecodedBatch {
    /// An empty batch of `partition`.
    pub fn new(partition: i32, epoch: u64) -> DecodedBatch {
        DecodedBatch { partition, epoch, text: String::new(), records: Vec::new(), dead_bytes: 0 }
    }

    /// Decodes a record and takes it, whatever it is.
    pub fn push(
        &mut self,
        offset: i64,
        kafka_timestamp: EventTime,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        settings: &EventFormat,
    ) {
        let outcome = match decode(payload, kafka_timestamp, settings) {
            Ok(fields) => Outcome::Event(self.keep(&fields)),
            Err(rejection) => {
                let letter = DeadLetter {
                    reason: rejection.reason,
                    detail: rejection.detail,
                    key: key.map(<[u8]>::to_vec),
                    payload: payload.map(<[u8]>::to_vec),
                    kafka_timestamp,
                    kafka_partition: self.partition,
                    kafka_offset: offset,
                };
                self.dead_bytes += letter.bytes();
                Outcome::DeadLetter(Box::new(letter))
            }
        };
        self.records.push(DecodedRecord { offset, kafka_timestamp, outcome });
    }

    /// The records, in the order of their offsets.
    pub fn into_parts(self) -> (String, Vec<DecodedRecord>) {
        (self.text, self.records)
    }

    /// The offset of the last record.
    pub fn last_offset(&self) -> Option<i64> {
        self.records.last().map(|record| record.offset)
    }

    /// Records taken.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record was taken.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// About how much memory the records take.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.dead_bytes + self.records.len() * size_of::<DecodedRecord>()
    }

    fn keep(&mut self, fields: &Fields<'_>) -> DecodedEvent {
        DecodedEvent {
            event_time: fields.event_time,
            speed_kmh: fields.speed_kmh,
            speed: fields.speed,
            camera_id: self.keep_text(&fields.camera_id),
            plate_number: fields.plate_number.as_ref().map(|plate| self.keep_text(plate)),
            extra: fields.extra.as_ref().map(|extra| self.keep_text(extra)),
        }
    }

    /// A batch is sent on long before its text reaches 4 GiB.
    fn keep_text(&mut self, text: &str) -> Span {
        let start = u32::try_from(self.text.len()).expect("a batch holds less than 4 GiB");
        self.text.push_str(text);
        Span { start, end: u32::try_from(self.text.len()).expect("a batch holds less than 4 GiB") }
    }
}

impl DecodedEvent {
    /// The camera, out of its batch's text.
    pub fn camera_id<'a>(&self, text: &'a str) -> &'a str {
        self.camera_id.of(text)
    }

    /// The plate, out of its batch's text.
    pub fn plate_number<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.plate_number.map(|span| span.of(text))
    }

    /// The remaining members as a JSON object, out of its batch's text.
    pub fn extra<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.extra.map(|span| span.of(text))
    }
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}
