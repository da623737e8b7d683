//! The Kafka offsets of rows.

use arrow::array::RecordBatch;
use lake_delta::columns::{ColumnError, int, long};
use lake_model::{KafkaPartition, Offset};

/// The partitions and offsets of the rows of `batch`, from its columns `kafka_partition` and `kafka_offset`.
pub fn offsets(batch: &RecordBatch) -> Result<Vec<(KafkaPartition, Offset)>, ColumnError> {
    let (partitions, offsets) = (int(batch, "kafka_partition")?, long(batch, "kafka_offset")?);
    let place = |row| (KafkaPartition(partitions.value(row)), Offset(offsets.value(row)));
    Ok((0..batch.num_rows()).map(place).collect())
}
