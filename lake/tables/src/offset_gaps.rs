//! `offset_gaps`: offsets that no record is landed for, and why.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use lake_delta::TableSpec;
use lake_model::{KafkaPartition, Offset, OffsetRange, Timestamp};

use super::encoding::encode;
use super::{Table, required, timestamp};
use lake_delta::columns::{ColumnError, int, long, string};

/// The table.
pub(crate) static SPEC: TableSpec = TableSpec {
    name: "offset_gaps",
    partition_column: None,
    file_schema: LazyLock::new(|| Arc::new(Schema::new(fields()))),
    schema: || Schema::new(fields()),
    comments: &[("next_offset", "the offset after the last one of the range")],
    without_bounds: &[],
    encoding: encode,
};

fn fields() -> Vec<Field> {
    vec![
        required("kafka_partition", DataType::Int32),
        required("first_offset", DataType::Int64),
        required("next_offset", DataType::Int64),
        required("reason", DataType::Utf8),
        required("noted_at", timestamp()),
    ]
}

/// Why offsets have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapReason {
    /// Older than the first record consumed.
    BeforeStart,
    /// Transaction markers, aborted or compacted records.
    NotDelivered,
    /// Gone from Kafka before they were consumed, and a setting accepts it.
    AcceptedLoss,
    /// Below the partition's floor, under which `maintain` has dropped days.
    Retention,
    /// Those of a data file that could not be read and was taken out of its table by `batch-layer quarantine`.
    Quarantined,
}

impl GapReason {
    /// The reason as the table holds it.
    pub const fn as_str(self) -> &'static str {
        match self {
            GapReason::BeforeStart => "before_start",
            GapReason::NotDelivered => "not_delivered",
            GapReason::AcceptedLoss => "accepted_loss",
            GapReason::Retention => "retention",
            GapReason::Quarantined => "quarantined",
        }
    }

    /// Whether offsets with this reason, as the table holds it, had records in the tables before.
    pub fn had_records(reason: &str) -> bool {
        [GapReason::Retention, GapReason::Quarantined].iter().any(|of| of.as_str() == reason)
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetGap {
    /// The partition.
    pub kafka_partition: KafkaPartition,
    /// The offsets.
    pub range: OffsetRange,
    /// Why they have no record.
    pub reason: GapReason,
    /// When this was noticed.
    pub noted_at: Timestamp,
}

/// The gaps as a batch of the table's file schema.
pub fn batch(gaps: &[OffsetGap]) -> RecordBatch {
    let partitions = gaps.iter().map(|gap| gap.kafka_partition.0);
    let noted_at = gaps.iter().map(|gap| gap.noted_at.micros());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(partitions)),
        Arc::new(Int64Array::from_iter_values(gaps.iter().map(|gap| gap.range.first.0))),
        Arc::new(Int64Array::from_iter_values(gaps.iter().map(|gap| gap.range.next.0))),
        Arc::new(StringArray::from_iter_values(gaps.iter().map(|gap| gap.reason.as_str()))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(noted_at).with_timezone("UTC")),
    ];
    RecordBatch::try_new(Table::OffsetGaps.file_schema(), columns)
        .expect("the columns follow the schema")
}

/// The partitions and offsets of a batch of the table.
pub fn ranges(batch: &RecordBatch) -> Result<Vec<(KafkaPartition, OffsetRange)>, ColumnError> {
    let (partitions, first, next) =
        (int(batch, "kafka_partition")?, long(batch, "first_offset")?, long(batch, "next_offset")?);
    let range = |row| {
        let range = OffsetRange::new(Offset(first.value(row)), Offset(next.value(row)));
        (KafkaPartition(partitions.value(row)), range)
    };
    Ok((0..batch.num_rows()).map(range).collect())
}

/// As [`ranges`], each with whether it is a floor of retention: what is below it was dropped.
pub fn ranges_and_floors(
    batch: &RecordBatch,
) -> Result<Vec<(KafkaPartition, OffsetRange, bool)>, ColumnError> {
    let (ranges, reasons) = (ranges(batch)?, string(batch, "reason")?);
    let is_floor = |row| reasons.value(row) == GapReason::Retention.as_str();
    let rows = ranges.into_iter().enumerate();
    Ok(rows.map(|(row, (partition, range))| (partition, range, is_floor(row))).collect())
}
