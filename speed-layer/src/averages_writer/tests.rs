//! The writer of averages on lakes in memory: which groups it writes, and which it leaves.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lake_delta::{Commit, Lake, TableLog, data_file};
use lake_model::{Day, KafkaPartition, Offset, WindowSize};
use lake_tables::file_kind::{AvgSpeedFile, GroupWindows};
use lake_tables::{Table, avg_speed};
use lake_testing::memory::lake_on;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use tokio::time::Instant;

use super::AveragesWriter;
use crate::test_instance::{Instance, lake, minute, version};

/// The partition that the tests look at.
const PARTITION: KafkaPartition = KafkaPartition(0);

/// The provisional files by their windows.
async fn files(lake: &Lake) -> BTreeMap<GroupWindows, String> {
    let log = TableLog::open(lake, Table::AvgSpeed).await.unwrap();
    let mut found = BTreeMap::new();
    for file in log.state().files() {
        if let Some(AvgSpeedFile::Provisional(group)) = AvgSpeedFile::tagged(file) {
            assert_eq!(found.insert(group.windows, file.path.clone()), None, "one file a group");
        }
    }
    found
}

fn day(instance: &Instance) -> Day {
    instance.rules.calendar.span_at(minute(0)).day
}

/// Makes the day final with a file of the rows that `instance` holds of it.
async fn make_final(lake: &Lake, instance: &Instance) {
    let partition = instance.partitions.get(PARTITION).unwrap();
    let key = (day(instance), GroupWindows::Day);
    let rows = partition.provisional.rows(key, PARTITION, lake.now());
    let new = AvgSpeedFile::new_final(day(instance), "run", WindowSize::Day, lake.unique_id());
    let batch = avg_speed::batch(&rows);
    let file = data_file::write(lake, Table::AvgSpeed, new, &batch).await.unwrap();
    let mut log = TableLog::open(lake, Table::AvgSpeed).await.unwrap();
    let _ = log.try_commit(&Commit::new(lake, "MAKE DAY FINAL").add([file])).await.unwrap();
}

#[tokio::test]
async fn a_group_is_written_again_only_when_one_of_its_windows_changed() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive(0, &[(0, Some(10)), (1, Some(70))]);
    assert_eq!(instance.average(false).await, Some(BTreeSet::new()));
    let before = files(&lake).await;
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        [&GroupWindows::Hour(0), &GroupWindows::Hour(1), &GroupWindows::Day]
    );
    instance.receive(0, &[(2, Some(80))]);
    instance.average(false).await;
    let after = files(&lake).await;
    assert_eq!(after[&GroupWindows::Hour(0)], before[&GroupWindows::Hour(0)]);
    assert_ne!(after[&GroupWindows::Hour(1)], before[&GroupWindows::Hour(1)]);
    assert_ne!(after[&GroupWindows::Day], before[&GroupWindows::Day]);
}

#[tokio::test]
async fn nothing_is_committed_while_no_window_and_no_offset_has_changed() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive_events(0, 0, 2);
    instance.land().await;
    assert!(instance.average(false).await.is_some());
    let committed = version(&lake, Table::AvgSpeed).await;
    assert_eq!(instance.average(false).await, None);
    assert_eq!(instance.average(true).await, None);
    assert_eq!(version(&lake, Table::AvgSpeed).await, committed);
}

#[tokio::test]
async fn offsets_without_a_change_are_committed_only_where_they_are_asked_for() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive(0, &[(0, None)]);
    assert_eq!(instance.average(false).await, None);
    assert_eq!(instance.average(true).await, Some(BTreeSet::new()));
    let tables = instance.committer.tables();
    let progress = tables.app_ids.progress(tables.avg_speed.state(), PARTITION);
    assert_eq!(progress.next_offset, Some(Offset(1)));
}

#[tokio::test]
async fn a_day_that_the_batch_has_made_final_is_neither_written_nor_held() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive(0, &[(0, Some(10)), (1, Some(25 * 60))]);
    make_final(&lake, &instance).await;
    assert_eq!(instance.average(false).await, Some(BTreeSet::new()));
    let log = TableLog::open(&lake, Table::AvgSpeed).await.unwrap();
    let of_day: Vec<bool> =
        log.state().files_of(day(&instance)).map(AvgSpeedFile::is_final).collect();
    assert_eq!(of_day, [true]);
    assert!(!files(&lake).await.is_empty(), "the other day is written");
    let provisional = &instance.partitions.get(PARTITION).unwrap().provisional;
    let held = provisional.rows((day(&instance), GroupWindows::Day), PARTITION, lake.now());
    assert!(held.is_empty(), "{held:?}");
}

#[tokio::test]
async fn a_partition_that_another_instance_moved_is_fenced_and_stays_changed() {
    let lake = lake();
    let mut old = Instance::holding(&lake, &[0, 1]).await;
    let mut new = Instance::holding(&lake, &[0]).await;
    new.receive(0, &[(0, Some(10))]);
    new.average(false).await;
    let before = files(&lake).await;
    old.receive(0, &[(0, Some(10)), (1, Some(11))]);
    assert_eq!(old.average(false).await, Some(BTreeSet::from([PARTITION])));
    assert_eq!(files(&lake).await, before);
    assert!(old.partitions.get(PARTITION).unwrap().provisional.is_dirty());
}

#[tokio::test(start_paused = true)]
async fn files_of_all_partitions_are_uploaded_at_once() {
    let (upload, partitions) = (Duration::from_millis(60), 0..20);
    let slow = ThrottleConfig { wait_put_per_call: upload, ..ThrottleConfig::default() };
    let lake = lake_on(Arc::new(ThrottledStore::new(InMemory::new(), slow)));
    let mut instance = Instance::holding(&lake, &partitions.clone().collect::<Vec<_>>()).await;
    instance.averages = AveragesWriter::new(instance.rules.lateness, 2 * partitions.len());
    for partition in partitions {
        instance.receive_events(partition, 0, 1);
    }
    let began = Instant::now();
    instance.average(false).await;
    // An upload of all files, and an entry of each of the four logs.
    assert_eq!(began.elapsed().as_millis() / upload.as_millis(), 1 + 4);
}

#[tokio::test]
async fn windows_that_are_closed_to_the_speed_layer_are_forgotten_once_they_are_written() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive(0, &[(0, Some(10)), (1, Some(20 * 60))]);
    let panes =
        |instance: &Instance| instance.partitions.get(PARTITION).unwrap().provisional.panes();
    assert_eq!(panes(&instance), 3, "two of 5 minutes and one of the day");
    instance.average(false).await;
    assert_eq!(panes(&instance), 2);
    assert!(files(&lake).await.contains_key(&GroupWindows::Hour(0)));
}
