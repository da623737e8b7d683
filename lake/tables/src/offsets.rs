//! The Kafka offsets of rows.

use arrow::array::RecordBatch;
use arrow::compute::{max, min};
use lake_delta::columns::{ColumnError, int, long};
use lake_model::{KafkaPartition, Offset, OffsetRange};

/// The partitions and offsets of the rows of `batch`, from its columns `kafka_partition` and `kafka_offset`.
pub fn offsets(batch: &RecordBatch) -> Result<Vec<(KafkaPartition, Offset)>, ColumnError> {
    let (partitions, offsets) = (int(batch, "kafka_partition")?, long(batch, "kafka_offset")?);
    let place = |row| (KafkaPartition(partitions.value(row)), Offset(offsets.value(row)));
    Ok((0..batch.num_rows()).map(place).collect())
}

/// The range that the offsets of the rows of `batch` are in, whatever their partitions; none without rows.
pub fn offset_range(batch: &RecordBatch) -> Result<Option<OffsetRange>, ColumnError> {
    let offsets = long(batch, "kafka_offset")?;
    let range = |(first, last)| OffsetRange::new(Offset(first), Offset(last).next());
    Ok(min(offsets).zip(max(offsets)).map(range))
}
