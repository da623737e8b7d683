//! How data files are encoded: so that the readers of other people read them, and read them right.

use lake_delta::data_file::NewFile;
use lake_delta::{Commit, FileUse, TableLog, data_file, read};
use lake_tables::{Table, encoding};
use parquet::basic::Encoding;

use crate::rows;

/// The encodings that are not portable, by column, of a file with rows of every kind of `table`.
async fn encodings(table: Table, file_use: FileUse) -> Vec<(String, Encoding)> {
    let lake = lake_testing::lake_in_memory();
    let mut log = TableLog::open_or_create(&lake, table, &[]).await.unwrap();
    let partition = table.partition_column().map(|_| rows::day());
    let tags = std::collections::BTreeMap::new();
    let new = NewFile { path: "file.parquet".to_owned(), partition, file_use, tags };
    let file = data_file::write(&lake, table, new, &rows::sample(table)).await.unwrap();
    let _ = log.try_commit(&Commit::new(&lake, "LAND").add([file])).await.unwrap();
    let file = log.state().files().next().unwrap();
    let found = read::encodings(lake.table_store(table), file).await.unwrap();
    assert_eq!(found.len(), table.file_schema().fields().len());
    let found = found
        .into_iter()
        .flat_map(|(column, all)| all.into_iter().map(move |encoding| (column.clone(), encoding)));
    found.filter(|(_, found)| !encoding::is_portable(*found)).collect()
}

#[tokio::test]
async fn files_that_live_long_have_encodings_that_every_reader_knows() {
    for table in Table::ALL {
        assert_eq!(encodings(table, FileUse::LongLived).await, [], "{table}");
    }
}

/// Texts in DELTA_LENGTH_BYTE_ARRAY are read wrongly by Spark 3.4.0 to 3.5.6 and 4.0.0, and numbers far apart in
/// DELTA_BINARY_PACKED by fastparquet.
#[tokio::test]
async fn of_short_lived_files_only_offsets_of_landed_events_are_packed() {
    for table in Table::ALL {
        let packed = encodings(table, FileUse::ShortLived).await;
        let expected: &[&str] = match table {
            Table::Events => &["kafka_offset"],
            _ => &[],
        };
        let expected: Vec<(String, Encoding)> = expected
            .iter()
            .map(|column| ((*column).to_owned(), Encoding::DELTA_BINARY_PACKED))
            .collect();
        assert_eq!(packed, expected, "{table}");
    }
}
