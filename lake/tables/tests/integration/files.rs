//! Cases about data files.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use futures::TryStreamExt;
use lake_delta::{Commit, Lake, TableLog, read};
use lake_model::{DeadLetterReason, KafkaPartition, Offset, Timestamp};
use lake_tables::Table;
use lake_tables::dead_letters::{self, DeadLetter};

use crate::bed::Bed;
use crate::rows;

/// The rows of a table of one file.
async fn read_back(lake: &Lake, table: Table) -> RecordBatch {
    let log = TableLog::open(lake, table).await.unwrap();
    let files: Vec<_> = log.state().files().collect();
    assert_eq!(files.len(), 1);
    let stream = read::stream(lake.table_store(table), files[0], &[]).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    concat_batches(&table.file_schema(), &batches).unwrap()
}

async fn write_and_commit(lake: &Lake, table: Table, batch: &RecordBatch) -> u64 {
    let mut log = TableLog::open_or_create(lake, table, &[]).await.unwrap();
    let file = rows::file_of(lake, table, batch).await;
    let size = file.size;
    let _ = log.try_commit(&Commit::new(lake, "LAND").add([file])).await.unwrap();
    size
}

pub async fn rows_of_every_table_are_read_back_as_they_were_written(bed: Bed) {
    let lake = bed.lake();
    for table in Table::ALL {
        let batch = rows::sample(table);
        write_and_commit(&lake, table, &batch).await;
        assert_eq!(read_back(&lake, table).await, batch, "{table}");
    }
}

pub async fn a_file_of_several_parts_is_read_back(bed: Bed) {
    let lake = bed.lake();
    let letters: Vec<DeadLetter> = (0..44).map(megabyte).collect();
    let batch = dead_letters::batch(&letters);
    let size = write_and_commit(&lake, Table::DeadLetters, &batch).await;
    assert!(size > 40 << 20, "{size} bytes");
    assert_eq!(read_back(&lake, Table::DeadLetters).await, batch);
}

/// A letter whose payload does not compress: the numbers of a linear congruential generator (Knuth, MMIX).
fn megabyte(kafka_offset: i64) -> DeadLetter {
    let mut state = kafka_offset.cast_unsigned();
    let payload = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    DeadLetter {
        reason: DeadLetterReason::NotJson,
        detail: String::new(),
        key: None,
        payload: Some(payload.take(1 << 20).collect()),
        kafka_timestamp: Timestamp::from_micros(kafka_offset),
        kafka_partition: KafkaPartition(0),
        kafka_offset: Offset(kafka_offset),
    }
}
