//! Another tool has put provisional rows of several groups into one file.

use std::collections::BTreeMap;
use std::sync::Arc;

use lake_delta::data_file::{self, NewFile};
use lake_delta::log::FileEntry;
use lake_delta::{Commit, CommitOutcome, FileUse, Lake, TableLog, read};
use lake_model::Day;
use lake_tables::file_kind::AvgSpeedFile;
use lake_tables::{Table, avg_speed};
use lake_testing::lake_on;
use object_store::memory::InMemory;

use crate::log_source::Topic;
use crate::oracle::expected;
use crate::support::{held, run_to_end, settings, topic};

#[tokio::test]
async fn files_that_another_tool_compacted_are_split_and_gone_on_with() {
    let (lake, whole) = (lake_on(Arc::new(InMemory::new())), topic());
    run_to_end(lake.clone(), &beginning_of(&whole), &settings()).await;
    compact(&lake).await;
    run_to_end(lake.clone(), &whole, &settings()).await;
    let (held, expected) = (held(&lake).await, expected(&whole));
    assert_eq!(held.averages, expected.averages);
    assert_eq!(held.average_rows, expected.average_rows);
    let log = TableLog::open(&lake, Table::AvgSpeed).await.unwrap();
    assert!(log.state().files().all(|file| AvgSpeedFile::tagged(file).is_some()));
}

/// The topic before most of its records have come.
fn beginning_of(whole: &Topic) -> Arc<Topic> {
    let partitions = whole.partitions.iter().map(|(id, (records, _))| {
        let end = 25;
        (*id, (records.iter().filter(|record| record.offset < end).cloned().collect(), end))
    });
    Arc::new(Topic { partitions: partitions.collect() })
}

/// Puts all rows of each day into one file without tags.
async fn compact(lake: &Lake) {
    let mut log = TableLog::open(lake, Table::AvgSpeed).await.unwrap();
    let mut days: BTreeMap<Day, Vec<FileEntry>> = BTreeMap::new();
    for file in log.state().files() {
        days.entry(file.partition.unwrap()).or_default().push(file.clone());
    }
    for (day, files) in days {
        assert!(files.len() > 2, "several groups");
        let rows =
            read::collect(lake, Table::AvgSpeed, &files, &[], avg_speed::rows).await.unwrap();
        let new = NewFile {
            path: format!("event_date={day}/part-00000.parquet"),
            partition: Some(day),
            file_use: FileUse::LongLived,
            tags: BTreeMap::new(),
        };
        let batch = avg_speed::batch(&rows);
        let file = data_file::write(lake, Table::AvgSpeed, new, &batch).await.unwrap();
        let commit = Commit::new(lake, "OPTIMIZE").remove(files).add([file]).rearranging();
        assert!(matches!(log.try_commit(&commit).await, Ok(CommitOutcome::Committed { .. })));
    }
}
