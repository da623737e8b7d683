//! `events`: every accepted record, late ones too.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field};
use lake_model::EventTime;

use super::{Table, optional, required, timestamp};

pub(super) fn fields() -> Vec<Field> {
    vec![
        required("camera_id", DataType::Utf8),
        required("event_time", timestamp()),
        required("speed_kmh", DataType::Float64),
        optional("plate_number", DataType::Utf8),
        optional("extra", DataType::Utf8),
        required("kafka_timestamp", timestamp()),
        required("kafka_partition", DataType::Int32),
        required("kafka_offset", DataType::Int64),
        required("late", DataType::Boolean),
    ]
}

/// One row, borrowed from wherever it was decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventRow<'a> {
    /// The camera as sent.
    pub camera_id: &'a str,
    /// When the camera saw the vehicle.
    pub event_time: EventTime,
    /// The speed as sent, in km/h.
    pub speed_kmh: f64,
    /// The plate as sent.
    pub plate_number: Option<&'a str>,
    /// The remaining fields as a JSON object.
    pub extra: Option<&'a str>,
    /// The record's Kafka timestamp.
    pub kafka_timestamp: EventTime,
    /// The record's partition.
    pub kafka_partition: i32,
    /// The record's offset.
    pub kafka_offset: i64,
    /// Whether it arrived after its window was closed to the speed layer.
    pub late: bool,
}

/// Rows of one day on their way into a file, column by column.
#[derive(Debug, Default)]
pub struct EventsBuilder {
    camera_id: StringBuilder,
    event_time: TimestampMicrosecondBuilder,
    speed_kmh: Float64Builder,
    plate_number: StringBuilder,
    extra: StringBuilder,
    kafka_timestamp: TimestampMicrosecondBuilder,
    kafka_partition: Int32Builder,
    kafka_offset: Int64Builder,
    late: BooleanBuilder,
    rows: usize,
    bytes: usize,
}

impl EventsBuilder {
    /// Takes one row.
    pub fn push(&mut self, row: &EventRow<'_>) {
        self.camera_id.append_value(row.camera_id);
        self.event_time.append_value(row.event_time.micros());
        self.speed_kmh.append_value(row.speed_kmh);
        self.plate_number.append_option(row.plate_number);
        self.extra.append_option(row.extra);
        self.kafka_timestamp.append_value(row.kafka_timestamp.micros());
        self.kafka_partition.append_value(row.kafka_partition);
        self.kafka_offset.append_value(row.kafka_offset);
        self.late.append_value(row.late);
        self.rows += 1;
        let text = row.camera_id.len()
            + row.plate_number.map_or(0, str::len)
            + row.extra.map_or(0, str::len);
        self.bytes += text + FIXED_ROW_BYTES;
    }

    /// Rows taken.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how much memory the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows as a batch of the table's file schema.
    pub fn finish(mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.camera_id.finish()),
            Arc::new(self.event_time.finish().with_timezone("UTC")),
            Arc::new(self.speed_kmh.finish()),
            Arc::new(self.plate_number.finish()),
            Arc::new(self.extra.finish()),
            Arc::new(self.kafka_timestamp.finish().with_timezone("UTC")),
            Arc::new(self.kafka_partition.finish()),
            Arc::new(self.kafka_offset.finish()),
            Arc::new(self.late.finish()),
        ];
        RecordBatch::try_new(Table::Events.file_schema(), columns)
            .expect("the builders follow the schema")
    }
}

/// Bytes of a row's numbers and of the lengths of its strings.
const FIXED_ROW_BYTES: usize = 50;
