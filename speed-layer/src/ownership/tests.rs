//! Owners of a partition on lakes in memory: what each may commit, and what of it lands, where two decode differently.

#![allow(clippy::unwrap_used)]

use lake_delta::{Commit, CommitOutcome, Lake, data_file};
use lake_model::{Offset, OffsetRange, TableVersion};
use lake_tables::offset_gaps::{GapReason, OffsetGap};

use super::*;
use crate::test_instance::{Instance, lake, offsets, version};

/// The partition that owners follow one another in.
const PARTITION: KafkaPartition = KafkaPartition(0);

/// The versions of the tables, in the order of [`WRITTEN`].
async fn versions(lake: &Lake) -> [i64; 4] {
    let mut versions = [0; 4];
    for (at, table) in WRITTEN.into_iter().enumerate() {
        let TableVersion(number) = version(lake, table).await;
        versions[at] = number;
    }
    versions
}

/// The owner epochs of a partition, in the order of [`WRITTEN`].
async fn epochs(lake: &Lake, partition: i32) -> [i64; 4] {
    let instance = Instance::on(lake).await;
    let tables = instance.committer.tables();
    WRITTEN.map(|table| {
        tables.app_ids.owner_epoch(tables.log(table).state(), KafkaPartition(partition)).0
    })
}

/// The offsets of partition 0 in `events`, `dead_letters` and `offset_gaps`.
async fn landed(lake: &Lake) -> [Vec<i64>; 3] {
    let mut landed = [const { Vec::new() }; 3];
    let tables = [Table::Events, Table::DeadLetters, Table::OffsetGaps];
    for (landed, table) in landed.iter_mut().zip(tables) {
        *landed = offsets(lake, table).await.into_iter().map(|(_, offset)| offset).collect();
    }
    landed
}

/// How many events the rows of a whole day in `avg_speed` count.
async fn averaged(lake: &Lake) -> u64 {
    let log = lake_delta::TableLog::open(lake, Table::AvgSpeed).await.unwrap();
    let (files, rows) = (log.state().files(), lake_tables::avg_speed::rows);
    let rows = lake_delta::read::collect(lake, Table::AvgSpeed, files, &[], rows).await.unwrap();
    let whole_days = rows.iter().filter(|row| row.window.size == lake_model::WindowSize::Day);
    whole_days.map(|row| row.summary.count()).sum()
}

#[tokio::test]
async fn a_takeover_costs_one_commit_a_table_once_there_is_news_and_none_before() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0, 1, 2]).await;
    instance.land().await;
    instance.average(true).await;
    assert_eq!((versions(&lake).await, epochs(&lake, 0).await), ([0; 4], [0; 4]));
    instance.receive_events(0, 0, 3);
    instance.land().await;
    // That of `events` carries the rows. All partitions are claimed at once.
    assert_eq!(versions(&lake).await, [1; 4]);
    for partition in 0..3 {
        assert_eq!(epochs(&lake, partition).await, [1; 4]);
    }
    instance.average(true).await;
    instance.receive(1, &[(0, Some(1)), (1, None)]);
    instance.land().await;
    instance.average(true).await;
    assert_eq!(versions(&lake).await, [2, 3, 2, 1], "nothing is claimed twice");
}

#[tokio::test]
async fn the_table_of_the_first_news_is_claimed_by_the_commit_of_that() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive(0, &[(0, None)]);
    instance.land().await;
    // `events` is claimed before, and committed after, the dead letter.
    assert_eq!(versions(&lake).await, [2, 1, 1, 1]);
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive_events(0, 1, 1);
    instance.average(false).await;
    assert_eq!((versions(&lake).await, epochs(&lake, 0).await), ([3, 2, 2, 2], [2; 4]));
}

#[tokio::test]
async fn a_zombie_is_fenced_in_tables_that_its_successor_had_nothing_for() {
    let lake = lake();
    let mut zombie = Instance::holding(&lake, &[0]).await;
    zombie.receive_events(0, 0, 3);
    zombie.land().await;
    zombie.average(true).await;
    // It takes 3 for a dead letter and 4 and 5 for a gap, and is suspended. Its successor takes all of them for events.
    zombie.receive(0, &[(3, None), (6, Some(6))]);
    let mut successor = Instance::holding(&lake, &[0]).await;
    successor.receive_events(0, 3, 4);
    assert!(successor.land().await.is_empty());
    let before = versions(&lake).await;
    assert_eq!(zombie.land().await, BTreeSet::from([PARTITION]));
    assert_eq!(zombie.average(true).await, Some(BTreeSet::from([PARTITION])));
    assert_eq!(versions(&lake).await, before);
    assert_eq!(landed(&lake).await, [(0..7).collect(), vec![], vec![]]);
}

#[tokio::test]
async fn a_zombie_that_commits_between_the_claims_of_its_successor_is_read_by_it() {
    let lake = lake();
    let mut zombie = Instance::holding(&lake, &[0]).await;
    zombie.receive_events(0, 0, 3);
    zombie.land().await;
    zombie.average(true).await;
    zombie.receive(0, &[(3, None), (4, Some(4))]);
    let mut successor = Instance::holding(&lake, &[0]).await;
    successor.receive_events(0, 3, 3);
    // The successor claims two of the tables, and the zombie lands its dead letter in one that is left.
    for table in [Table::Events, Table::AvgSpeed] {
        let claims = TableWork::of(claims(&successor.partitions, table, &BTreeSet::new()));
        let (committer, held) = (&mut successor.committer, &mut successor.partitions);
        let claimed = commit(committer, held, table, &claims).await.unwrap();
        assert_eq!(claimed.fenced, BTreeSet::new());
    }
    let ours = &zombie.partitions.get(PARTITION).unwrap().ownership;
    assert!(ours.claim(Table::DeadLetters).is_made());
    assert_eq!(zombie.land().await, BTreeSet::from([PARTITION]));
    assert_eq!(landed(&lake).await, [vec![0, 1, 2], vec![3], vec![]]);
    assert_eq!(successor.land().await, BTreeSet::from([PARTITION]));
    successor.take_over(&[0]).await;
    successor.receive_events(0, 3, 3);
    assert!(successor.land().await.is_empty());
    assert_eq!(landed(&lake).await, [vec![0, 1, 2, 4, 5], vec![3], vec![]]);
    assert_eq!(epochs(&lake, 0).await, [3; 4]);
}

#[tokio::test]
async fn what_a_dead_owner_landed_beside_events_is_passed_over_and_all_else_lands_by_our_decoder() {
    let lake = lake();
    let mut dead = Instance::holding(&lake, &[0]).await;
    dead.receive(0, &[(0, Some(0)), (1, None), (5, None), (6, Some(6))]);
    // It dies after its gaps and dead letters, before its events.
    dead.land_beside_events().await;
    assert_eq!(landed(&lake).await, [vec![], vec![1, 5], vec![2, 3, 4]]);
    let mut next = Instance::holding(&lake, &[0]).await;
    // 3 lies below what `dead_letters` has recorded, and is none of its rows: it is a gap. 0 is a dead letter to us.
    next.receive(0, &[(0, None), (1, Some(1)), (2, Some(2)), (3, None), (4, None), (5, Some(5))]);
    next.receive(0, &[(6, Some(6)), (7, Some(7))]);
    assert!(next.land().await.is_empty());
    assert_eq!(landed(&lake).await, [vec![6, 7], vec![0, 1, 5], vec![2, 3, 4]]);
    next.average(true).await;
    assert_eq!(averaged(&lake).await, 2, "what is landed as no event is not averaged");
    let clock = next.partitions.get(PARTITION).unwrap().clock.now();
    assert_eq!(clock.max_event_time(), Some(crate::test_instance::minute(7)));
}

#[tokio::test]
async fn replayed_offsets_that_are_no_events_in_the_tables_are_not_averaged() {
    let lake = lake();
    let mut dead = Instance::holding(&lake, &[0]).await;
    dead.receive(0, &[(0, Some(0)), (1, None), (4, Some(4))]);
    // It dies after it has landed, before it commits averages.
    dead.land().await;
    let mut next = Instance::holding(&lake, &[0]).await;
    next.receive_events(0, 0, 6);
    next.land().await;
    next.average(true).await;
    assert_eq!(landed(&lake).await, [vec![0, 4, 5], vec![1], vec![2, 3]]);
    assert_eq!(averaged(&lake).await, 3);
}

#[tokio::test]
async fn offsets_whose_landed_records_are_gone_are_replayed_as_they_were_landed() {
    for reason in [GapReason::Quarantined, GapReason::Retention] {
        let lake = lake();
        let mut dead = Instance::holding(&lake, &[0]).await;
        // Event times that fall behind the first: whether they are late depends on it.
        dead.receive(0, &[(0, Some(600)), (1, None), (3, Some(3)), (4, Some(4)), (5, Some(601))]);
        dead.land().await;
        // It dies before it commits averages. The rows of a file that can't be read become a gap.
        note_gap(&lake, 0, 1, reason).await;
        let mut next = Instance::holding(&lake, &[0]).await;
        next.receive(0, &[(0, Some(600)), (1, Some(1)), (2, Some(2)), (3, Some(3))]);
        next.receive(0, &[(4, Some(4)), (5, Some(601)), (6, Some(602))]);
        assert!(next.land().await.is_empty(), "nobody owns what maintenance notes");
        assert_eq!(next.average(true).await, Some(BTreeSet::new()));
        assert_eq!(averaged(&lake).await, 3, "those that were late are late again");
        let [events, letters, gaps] = landed(&lake).await;
        assert_eq!((events, letters, gaps), (vec![0, 3, 4, 5, 6], vec![1], vec![0, 2]));
    }
}

/// Notes a gap as the batch layer does: without an offset of the speed layer.
async fn note_gap(lake: &Lake, first: i64, next: i64, reason: GapReason) {
    let mut log = lake_delta::TableLog::open(lake, Table::OffsetGaps).await.unwrap();
    let range = OffsetRange::new(Offset(first), Offset(next));
    let noted_at = lake.now();
    let gap = OffsetGap { kafka_partition: PARTITION, range, reason, noted_at };
    let new = lake_tables::file_kind::unpartitioned(lake.unique_id());
    let batch = lake_tables::offset_gaps::batch(&[gap]);
    let file = data_file::write(lake, Table::OffsetGaps, new, &batch).await.unwrap();
    let commit = Commit::new(lake, "NOTE").add([file]);
    assert!(matches!(log.try_commit(&commit).await.unwrap(), CommitOutcome::Committed { .. }));
}

#[tokio::test]
async fn tables_of_an_earlier_release_have_the_epoch_before_the_first() {
    let lake = lake();
    let mut earlier = Instance::holding(&lake, &[0]).await;
    earlier.partitions.get_mut(PARTITION).unwrap().ownership = Ownership::default();
    earlier.receive(0, &[(0, Some(0)), (1, None)]);
    assert!(earlier.land().await.is_empty());
    assert_eq!(epochs(&lake, 0).await, [0; 4]);
    let mut later = Instance::holding(&lake, &[0]).await;
    later.receive_events(0, 0, 3);
    assert!(later.land().await.is_empty());
    assert_eq!(epochs(&lake, 0).await, [1; 4]);
    assert_eq!(landed(&lake).await, [vec![0, 2], vec![1], vec![]]);
}
