//! The committer on lakes in memory: which table work goes to, and when it is fenced.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use lake_delta::{Commit, Lake, TableLog, data_file};
use lake_model::commit::OwnerClaim;
use lake_model::{KafkaPartition, Offset, OffsetRange, TableVersion};
use lake_tables::offset_gaps::{self, GapReason, OffsetGap};
use lake_tables::txn::PartitionProgress;
use lake_tables::{Table, file_kind};

use crate::publish::{PartitionCommit, Published, SharedFile, TableWork};
use crate::test_instance::{Instance, lake, lake_with_clock, version};

/// The tables that work is committed to.
const TABLES: [Table; 4] = [Table::Events, Table::DeadLetters, Table::OffsetGaps, Table::AvgSpeed];

/// The partition that work is of.
const PARTITION: KafkaPartition = KafkaPartition(3);

/// Work from one offset up to another.
fn work(built_on: Option<i64>, next: i64) -> PartitionCommit {
    let progress =
        PartitionProgress { next_offset: Some(Offset(next)), ..PartitionProgress::default() };
    let (owner, files) = (OwnerClaim::default(), Vec::new());
    let built_on = built_on.map(Offset);
    PartitionCommit { partition: PARTITION, owner, built_on, resets: 0, progress, files }
}

fn only(commit: PartitionCommit) -> TableWork {
    TableWork::of(vec![commit])
}

async fn versions(lake: &Lake) -> Vec<TableVersion> {
    let mut versions = Vec::new();
    for table in TABLES {
        versions.push(version(lake, table).await);
    }
    versions
}

fn next_offsets(instance: &Instance) -> [Option<Offset>; 4] {
    let tables = instance.committer.tables();
    [&tables.events, &tables.dead_letters, &tables.offset_gaps, &tables.avg_speed]
        .map(|log| tables.app_ids.progress(log.state(), PARTITION).next_offset)
}

#[tokio::test]
async fn no_work_is_no_commit() {
    let lake = lake();
    let mut instance = Instance::on(&lake).await;
    let before = versions(&lake).await;
    for table in TABLES {
        let published = instance.committer.commit(table, &TableWork::default()).await.unwrap();
        assert_eq!(published, Published::default());
    }
    assert_eq!(versions(&lake).await, before);
}

#[tokio::test]
async fn work_is_recorded_in_the_table_that_it_is_for_and_in_no_other() {
    for (at, table) in TABLES.into_iter().enumerate() {
        let mut instance = Instance::on(&lake()).await;
        let published = instance.committer.commit(table, &only(work(None, 7))).await.unwrap();
        assert_eq!(published, Published::default());
        let mut expected = [None; 4];
        expected[at] = Some(Offset(7));
        assert_eq!(next_offsets(&instance), expected, "{table}");
    }
}

#[tokio::test]
async fn work_that_another_writer_was_faster_with_is_fenced_and_changes_nothing() {
    let lake = lake();
    let (mut old, mut new) = (Instance::on(&lake).await, Instance::on(&lake).await);
    let made = new.committer.commit(Table::Events, &only(work(None, 4))).await.unwrap();
    assert_eq!(made.fenced, BTreeSet::new());
    let refused = old.committer.commit(Table::Events, &only(work(None, 9))).await.unwrap();
    assert_eq!(refused.fenced, BTreeSet::from([PARTITION]));
    // It has followed the log, and the continuation of what is there goes in.
    assert_eq!(next_offsets(&old)[0], Some(Offset(4)));
    let made = old.committer.commit(Table::Events, &only(work(Some(4), 9))).await.unwrap();
    assert_eq!((made.fenced, next_offsets(&old)[0]), (BTreeSet::new(), Some(Offset(9))));
}

#[tokio::test]
async fn work_whose_files_vacuum_may_have_deleted_is_fenced_and_the_same_rows_commit_from_new_files()
 {
    let (lake, clock) = lake_with_clock();
    let mut instance = Instance::on(&lake).await;
    let gap = OffsetGap {
        kafka_partition: PARTITION,
        range: OffsetRange::new(Offset(0), Offset(4)),
        reason: GapReason::BeforeStart,
        noted_at: lake.now(),
    };
    let write = async || {
        let (new, rows) = (file_kind::unpartitioned(lake.unique_id()), offset_gaps::batch(&[gap]));
        let file = data_file::write(&lake, Table::OffsetGaps, new, &rows).await.unwrap();
        let partitions = vec![work(None, 4)];
        TableWork { partitions, shared: vec![SharedFile { partitions: [PARTITION].into(), file }] }
    };
    let suspended = write().await;
    let mut log = TableLog::open(&lake, Table::OffsetGaps).await.unwrap();
    let after = lake.now().saturating_add(1);
    let announcement = Commit::new(&lake, "VACUUM START").announce_vacuum(after);
    let _ = log.try_commit(&announcement).await.unwrap();
    let refused = instance.committer.commit(Table::OffsetGaps, &suspended).await.unwrap();
    assert_eq!((refused.fenced, next_offsets(&instance)[2]), (BTreeSet::from([PARTITION]), None));
    clock.advance(Duration::from_micros(1));
    let made = instance.committer.commit(Table::OffsetGaps, &write().await).await.unwrap();
    assert_eq!((made.fenced, next_offsets(&instance)[2]), (BTreeSet::new(), Some(Offset(4))));
}

#[tokio::test]
async fn work_that_reaches_no_further_than_the_table_is_no_commit() {
    let lake = lake();
    let mut instance = Instance::on(&lake).await;
    let _ = instance.committer.commit(Table::Events, &only(work(None, 4))).await.unwrap();
    let before = versions(&lake).await;
    let again = instance.committer.commit(Table::Events, &only(work(Some(4), 4))).await.unwrap();
    assert_eq!(again, Published::default());
    assert_eq!(versions(&lake).await, before);
}
