//! `dead_letters`: every record that can't be an event, whole, with the reason.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use lake_delta::TableSpec;
pub use lake_model::DeadLetter;

use super::encoding::encode;
use super::{Table, optional, required, timestamp, with_partition};

/// The table.
pub(crate) static SPEC: TableSpec = TableSpec {
    name: "dead_letters",
    partition_column: Some("landed_date"),
    file_schema: LazyLock::new(|| Arc::new(Schema::new(fields()))),
    schema: || with_partition(&Schema::new(fields()), "landed_date"),
    comments: &[("landed_date", "day of kafka_timestamp")],
    without_bounds: &["detail"],
    encoding: encode,
};

fn fields() -> Vec<Field> {
    vec![
        required("reason", DataType::Utf8),
        required("detail", DataType::Utf8),
        optional("key", DataType::Binary),
        optional("payload", DataType::Binary),
        required("kafka_timestamp", timestamp()),
        required("kafka_partition", DataType::Int32),
        required("kafka_offset", DataType::Int64),
    ]
}

/// The letters as a batch of the table's file schema.
pub fn batch<'a>(letters: impl IntoIterator<Item = &'a DeadLetter>) -> RecordBatch {
    let (mut reason, mut detail) = (StringBuilder::new(), StringBuilder::new());
    let (mut key, mut payload) = (BinaryBuilder::new(), BinaryBuilder::new());
    let mut kafka_timestamp = TimestampMicrosecondBuilder::new();
    let (mut kafka_partition, mut kafka_offset) = (Int32Builder::new(), Int64Builder::new());
    for letter in letters {
        reason.append_value(letter.reason.as_str());
        detail.append_value(&letter.detail);
        key.append_option(letter.key.as_deref());
        payload.append_option(letter.payload.as_deref());
        kafka_timestamp.append_value(letter.kafka_timestamp.micros());
        kafka_partition.append_value(letter.kafka_partition.0);
        kafka_offset.append_value(letter.kafka_offset.0);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(reason.finish()),
        Arc::new(detail.finish()),
        Arc::new(key.finish()),
        Arc::new(payload.finish()),
        Arc::new(kafka_timestamp.finish().with_timezone("UTC")),
        Arc::new(kafka_partition.finish()),
        Arc::new(kafka_offset.finish()),
    ];
    RecordBatch::try_new(Table::DeadLetters.file_schema(), columns)
        .expect("the builders follow the schema")
}
