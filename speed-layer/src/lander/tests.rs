//! The lander on lakes in memory: what lands, where, and that it lands once.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use lake_delta::TableLog;
use lake_model::KafkaPartition;
use lake_tables::{Table, file_kind};

use crate::test_instance::{Instance, lake, offsets, version};

/// Where offsets land.
const TABLES: [Table; 3] = [Table::Events, Table::DeadLetters, Table::OffsetGaps];

#[tokio::test]
async fn a_batch_lands_once_however_often_landing_is_tried() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive_events(0, 0, 3);
    assert!(instance.lander.is_due(&instance.partitions, false));
    assert!(instance.land().await.is_empty());
    let landed = version(&lake, Table::Events).await;
    assert!(!instance.lander.is_due(&instance.partitions, false));
    assert!(instance.land().await.is_empty());
    assert_eq!(offsets(&lake, Table::Events).await, [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(version(&lake, Table::Events).await, landed);
}

#[tokio::test]
async fn events_garbage_and_missing_offsets_each_land_in_their_own_table() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[5]).await;
    instance.receive(5, &[(0, Some(0)), (1, None), (4, Some(1))]);
    instance.land().await;
    assert_eq!(offsets(&lake, Table::Events).await, [(5, 0), (5, 4)]);
    assert_eq!(offsets(&lake, Table::DeadLetters).await, [(5, 1)]);
    assert_eq!(offsets(&lake, Table::OffsetGaps).await, [(5, 2), (5, 3)]);
}

#[tokio::test]
async fn a_partition_that_another_instance_landed_is_fenced_and_the_others_land() {
    let lake = lake();
    let mut old = Instance::holding(&lake, &[0, 1]).await;
    let mut new = Instance::holding(&lake, &[0]).await;
    old.receive_events(0, 0, 5);
    old.receive_events(1, 0, 1);
    new.receive_events(0, 0, 3);
    assert!(new.land().await.is_empty());
    assert_eq!(old.land().await, BTreeSet::from([KafkaPartition(0)]));
    let landed = [(0, 0), (0, 1), (0, 2), (1, 0)];
    assert_eq!(offsets(&lake, Table::Events).await, landed);
}

#[tokio::test]
async fn the_rows_of_all_partitions_are_in_one_file_for_each_day_and_table() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0, 1, 2]).await;
    for partition in 0..3 {
        // Events of two days, a dead letter, and an offset that is not there.
        let next_day = 24 * 60;
        instance.receive(partition, &[(0, Some(0)), (1, Some(next_day)), (2, None), (4, Some(1))]);
    }
    assert!(instance.land().await.is_empty());
    for (table, files, rows) in
        [(Table::Events, 2, 9), (Table::DeadLetters, 1, 3), (Table::OffsetGaps, 1, 3)]
    {
        let log = TableLog::open(&lake, table).await.unwrap();
        assert_eq!(log.state().files().count(), files, "{table}");
        assert_eq!(log.state().files().map(|file| file.rows).sum::<u64>(), rows, "{table}");
        let offsets = log.state().files().filter_map(file_kind::landed_offsets);
        let of_one = offsets.filter_map(|offsets| offsets.get(&KafkaPartition(1)).copied());
        let ranges: BTreeSet<_> = of_one.map(|range| (range.first.0, range.next.0)).collect();
        // Of events, one day has offsets 0 and 4, and the next one offset 1.
        let expected: &[(i64, i64)] = match table {
            Table::Events => &[(0, 5), (1, 2)],
            Table::DeadLetters => &[(2, 3)],
            _ => &[],
        };
        assert_eq!(ranges, expected.iter().copied().collect(), "{table}");
    }
}

#[tokio::test]
async fn dead_letters_and_gaps_of_other_partitions_land_once_beside_a_fenced_one() {
    // A dead letter and an event; a gap and two events.
    one_of_three_is_fenced(&[(0, None), (1, Some(0))], [&[1], &[0], &[]]).await;
    one_of_three_is_fenced(&[(1, Some(0)), (2, Some(1))], [&[1, 2], &[], &[0]]).await;
}

/// Every partition has these records, and each table these offsets of it afterwards.
async fn one_of_three_is_fenced(records: &[(i64, Option<i64>)], expected: [&[i64]; 3]) {
    let lake = lake();
    let mut old = Instance::holding(&lake, &[0, 1, 2]).await;
    let mut new = Instance::holding(&lake, &[1]).await;
    for partition in 0..3 {
        old.receive(partition, records);
    }
    new.receive(1, records);
    new.land().await;
    assert_eq!(old.land().await, BTreeSet::from([KafkaPartition(1)]));
    for (table, each) in TABLES.into_iter().zip(expected) {
        let all = (0..3).flat_map(|partition| each.iter().map(move |at| (partition, *at)));
        assert_eq!(offsets(&lake, table).await, all.collect::<Vec<_>>(), "{table}");
    }
}

#[tokio::test]
async fn what_a_fenced_partition_held_lands_once_after_it_was_loaded_anew() {
    let lake = lake();
    let mut old = Instance::holding(&lake, &[0]).await;
    let mut new = Instance::holding(&lake, &[0]).await;
    old.receive_events(0, 0, 5);
    new.receive_events(0, 0, 3);
    new.land().await;
    old.land().await;
    old.take_over(&[0]).await;
    old.receive_events(0, 0, 5);
    assert!(old.land().await.is_empty());
    let all: Vec<(i32, i64)> = (0..5).map(|offset| (0, offset)).collect();
    assert_eq!(offsets(&lake, Table::Events).await, all);
}

#[tokio::test]
async fn a_partition_fenced_by_its_dead_letters_lands_no_events() {
    let lake = lake();
    let mut old = Instance::holding(&lake, &[0]).await;
    let mut new = Instance::holding(&lake, &[0]).await;
    for instance in [&mut old, &mut new] {
        instance.receive(0, &[(0, None), (1, Some(0))]);
    }
    // The other instance stopped after its dead letters.
    new.land_beside_events().await;
    assert_eq!(old.land().await, BTreeSet::from([KafkaPartition(0)]));
    assert_eq!(offsets(&lake, Table::DeadLetters).await, [(0, 0)]);
    assert_eq!(offsets(&lake, Table::Events).await, []);
}

#[tokio::test]
async fn offsets_without_rows_are_due_only_where_they_are_asked_for() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    assert!(!instance.lander.is_due(&instance.partitions, true), "it is at no offset");
    instance.receive_events(0, 0, 2);
    instance.land().await;
    // Its averages are not committed yet.
    assert!(!instance.lander.is_due(&instance.partitions, false));
    assert!(instance.lander.is_due(&instance.partitions, true));
    instance.average(true).await;
    assert!(!instance.lander.is_due(&instance.partitions, true));
}
