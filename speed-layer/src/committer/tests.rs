//! The committer on lakes in memory: which table work goes to, and when it is fenced.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use lake_delta::Lake;
use lake_model::{KafkaPartition, Offset, TableVersion};
use lake_tables::Table;
use lake_tables::txn::PartitionProgress;

use crate::publish::{PartitionCommit, Published};
use crate::test_instance::{Instance, lake, version};

/// The tables that work is committed to.
const TABLES: [Table; 4] = [Table::Events, Table::DeadLetters, Table::OffsetGaps, Table::AvgSpeed];

/// The partition that work is of.
const PARTITION: KafkaPartition = KafkaPartition(3);

/// Work from one offset up to another.
fn work(built_on: Option<i64>, next: i64) -> PartitionCommit {
    let progress =
        PartitionProgress { next_offset: Some(Offset(next)), ..PartitionProgress::default() };
    PartitionCommit {
        partition: PARTITION,
        built_on: built_on.map(Offset),
        resets: 0,
        progress,
        files: Vec::new(),
    }
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
        let published = instance.committer.commit(table, &[]).await.unwrap();
        assert_eq!(published, Published::default());
    }
    assert_eq!(versions(&lake).await, before);
}

#[tokio::test]
async fn work_is_recorded_in_the_table_that_it_is_for_and_in_no_other() {
    for (at, table) in TABLES.into_iter().enumerate() {
        let mut instance = Instance::on(&lake()).await;
        let published = instance.committer.commit(table, &[work(None, 7)]).await.unwrap();
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
    let made = new.committer.commit(Table::Events, &[work(None, 4)]).await.unwrap();
    assert_eq!(made.fenced, BTreeSet::new());
    let refused = old.committer.commit(Table::Events, &[work(None, 9)]).await.unwrap();
    assert_eq!(refused.fenced, BTreeSet::from([PARTITION]));
    // It has followed the log, and the continuation of what is there goes in.
    assert_eq!(next_offsets(&old)[0], Some(Offset(4)));
    let made = old.committer.commit(Table::Events, &[work(Some(4), 9)]).await.unwrap();
    assert_eq!((made.fenced, next_offsets(&old)[0]), (BTreeSet::new(), Some(Offset(9))));
}

#[tokio::test]
async fn work_that_reaches_no_further_than_the_table_is_no_commit() {
    let lake = lake();
    let mut instance = Instance::on(&lake).await;
    let _ = instance.committer.commit(Table::Events, &[work(None, 4)]).await.unwrap();
    let before = versions(&lake).await;
    let again = instance.committer.commit(Table::Events, &[work(Some(4), 4)]).await.unwrap();
    assert_eq!(again, Published::default());
    assert_eq!(versions(&lake).await, before);
}
