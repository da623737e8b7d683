//! The Kafka offsets of rows.

use arrow::array::RecordBatch;
use lake_delta::columns::{ColumnError, int, long};

/// The partitions and offsets of the rows of `batch`, from its columns `kafka_partition` and `kafka_offset`.
pub fn offsets(batch: &RecordBatch) -> Result<Vec<(i32, i64)>, ColumnError> {
    let (partitions, offsets) = (int(batch, "kafka_partition")?, long(batch, "kafka_offset")?);
    Ok((0..batch.num_rows()).map(|row| (partitions.value(row), offsets.value(row))).collect())
}
