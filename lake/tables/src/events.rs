//! `events`: every accepted record, late ones too.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use lake_delta::TableSpec;
use lake_model::KafkaPartition;
use lake_model::event_columns::{EventColumns, TextColumn};

use super::encoding::encode_events;
use super::{Table, optional, required, timestamp, with_partition};

/// The table.
pub(crate) static SPEC: TableSpec = TableSpec {
    name: "events",
    partition_column: Some("event_date"),
    file_schema: LazyLock::new(|| Arc::new(Schema::new(fields()))),
    schema: || with_partition(&Schema::new(fields()), "event_date"),
    comments: &[
        (
            "late",
            "arrived after its window was closed to provisional averages; counted in final ones",
        ),
        ("speed_kmh", "as sent; a repeated event has a row for each time it was sent"),
    ],
    without_bounds: &["plate_number", "extra"],
    encoding: encode_events,
};

fn fields() -> Vec<Field> {
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

/// The events of a partition as a batch of the table's file schema; `late` says of each whether it arrived after its
/// window was closed to the speed layer. The columns become the batch's without a copy.
///
/// # Panics
/// If `late` is not as long as the columns.
pub fn batch(
    events: EventColumns,
    kafka_partition: KafkaPartition,
    late: BooleanBuffer,
) -> RecordBatch {
    let rows = events.len();
    let columns: Vec<ArrayRef> = vec![
        text(events.camera_id),
        times(events.event_time),
        Arc::new(Float64Array::from(events.speed_kmh)),
        Arc::new(events.plate_number.into_array()),
        Arc::new(events.extra.into_array()),
        times(events.kafka_timestamp),
        Arc::new(Int32Array::from_value(kafka_partition.0, rows)),
        Arc::new(Int64Array::from(events.kafka_offset)),
        Arc::new(BooleanArray::new(late, None)),
    ];
    RecordBatch::try_new(Table::Events.file_schema(), columns)
        .expect("the columns follow the schema and are of one length")
}

fn times(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

fn text(column: TextColumn) -> ArrayRef {
    let (text, bounds) = column.into_parts();
    let bounds = OffsetBuffer::new(bounds.into());
    Arc::new(StringArray::new(bounds, Buffer::from(text.into_bytes()), None))
}
