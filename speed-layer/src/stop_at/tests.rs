//! Ends of bounded runs, on lakes in memory.

#![allow(clippy::unwrap_used)]

use lake_tables::txn::CutBelowLanded;

use crate::test_instance::{Instance, lake};

use super::*;

fn stop_at<const N: usize>(ends: [(i32, i64); N]) -> StopAt {
    StopAt::from(offsets(ends))
}

fn offsets<const N: usize>(ends: [(i32, i64); N]) -> BTreeMap<KafkaPartition, Offset> {
    ends.map(|(id, end)| (KafkaPartition(id), Offset(end))).into()
}

#[tokio::test]
async fn the_end_of_a_partition_held_is_reached_by_its_position() {
    let mut instance = Instance::holding(&lake(), &[0]).await;
    let stop_at = stop_at([(0, 3)]);
    instance.receive_events(0, 0, 2);
    assert!(!stop_at.is_reached(&instance.partitions, instance.committer.tables(), Instant::now()));
    assert!(!stop_at.is_reached_here(&instance.partitions, Instant::now()));
    instance.receive_events(0, 2, 1);
    assert!(stop_at.is_reached(&instance.partitions, instance.committer.tables(), Instant::now()));
    assert!(stop_at.is_reached_here(&instance.partitions, Instant::now()));
}

#[tokio::test]
async fn the_end_of_another_instances_partition_is_reached_once_both_tables_are_there() {
    let lake = lake();
    let mut here = Instance::on(&lake).await;
    let mut other = Instance::holding(&lake, &[0]).await;
    let stop_at = stop_at([(0, 3)]);
    other.receive_events(0, 0, 3);
    other.land().await;
    here.committer.tables_mut().refresh().await.unwrap();
    assert!(
        !stop_at.is_reached(&here.partitions, here.committer.tables(), Instant::now()),
        "averages are behind"
    );
    other.average(true).await;
    here.committer.tables_mut().refresh().await.unwrap();
    assert!(stop_at.is_reached(&here.partitions, here.committer.tables(), Instant::now()));
}

#[tokio::test]
async fn an_end_is_not_reached_while_another_partitions_is_not() {
    let mut instance = Instance::holding(&lake(), &[0, 1]).await;
    let stop_at = stop_at([(0, 2), (1, 2)]);
    instance.receive_events(0, 0, 2);
    assert!(!stop_at.is_reached(&instance.partitions, instance.committer.tables(), Instant::now()));
    assert!(!stop_at.is_reached_here(&instance.partitions, Instant::now()));
}

#[tokio::test]
async fn a_run_is_at_its_ends_here_whatever_others_still_have_to_reach() {
    let mut instance = Instance::holding(&lake(), &[0, 7]).await;
    let stop_at = stop_at([(0, 2), (1, 5)]);
    instance.receive_events(0, 0, 2);
    assert!(
        stop_at.is_reached_here(&instance.partitions, Instant::now()),
        "partition 7 has no end"
    );
    assert!(!stop_at.is_reached(&instance.partitions, instance.committer.tables(), Instant::now()));
}

#[tokio::test]
async fn a_log_that_ends_before_what_is_landed_is_not_at_its_end_before_it_was_loaded() {
    let lake = lake();
    let mut other = Instance::holding(&lake, &[0]).await;
    other.receive_events(0, 0, 3);
    other.land().await;
    other.average(true).await;
    let mut here = Instance::on(&lake).await;
    let tables = here.committer.tables_mut();
    tables.refresh().await.unwrap();
    let stop_at = stop_at([(0, 2)]);
    assert!(stop_at.is_exceeded(tables));
    let others_landed_more = stop_at.clone().doubting(tables, &offsets([(0, 3)]));
    assert!(others_landed_more.is_reached(&here.partitions, tables, Instant::now()));
    let is_short = stop_at.clone().doubting(tables, &offsets([(0, 2)]));
    assert!(
        !is_short.is_reached(&here.partitions, tables, Instant::now()),
        "nobody has compared the logs"
    );
    other.receive_events(0, 3, 1);
    other.land().await;
    tables.refresh().await.unwrap();
    assert!(
        is_short.is_reached(&here.partitions, tables, Instant::now()),
        "its owner has gone on with it"
    );
    let mut holding = Instance::holding(&lake, &[0]).await;
    let mut is_short = stop_at.doubting(holding.committer.tables_mut(), &offsets([(0, 2)]));
    let is_reached = |stop_at: &StopAt| {
        stop_at.is_reached(&holding.partitions, holding.committer.tables(), Instant::now())
    };
    assert!(!is_reached(&is_short), "it is held, and Kafka has not said whether the log is there");
    is_short.observe_delivery(KafkaPartition(0));
    assert!(is_reached(&is_short), "Kafka has delivered from where the tables end");
}

#[tokio::test]
async fn the_end_of_a_log_whose_cut_is_accepted_is_the_one_that_it_has_since_unless_asked_for_later()
 {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive_events(0, 0, 3);
    instance.land().await;
    instance.average(true).await;
    let partition = KafkaPartition(0);
    let tables = instance.committer.tables_mut();
    let mut before = stop_at([(0, 9)]).after_cuts(tables);
    let seen = Instant::now();
    before.observe_end(tables, partition, Offset(2), seen);
    let (end, next) = (Some(Offset(1)), Offset(3));
    let cut =
        CutBelowLanded { partition, end, position: next, covered_to: next, averaged_to: next };
    truncation::accept(tables, cut).await.unwrap();
    let mut later = stop_at([(0, 9)]).after_cuts(tables);
    later.observe_end(tables, partition, Offset(2), seen);
    let mut regrown = before.clone();
    regrown.observe_end(tables, partition, Offset(5), seen);
    before.observe_end(tables, partition, Offset(2), seen);
    let mut growing = before.clone();
    let (soon, settled) = (seen + SETTLED_AFTER / 2, seen + SETTLED_AFTER);
    growing.observe_end(tables, partition, Offset(3), soon);
    let is_reached = |stop_at: &StopAt, now| {
        stop_at.is_reached(&instance.partitions, instance.committer.tables(), now)
    };
    assert!(!is_reached(&before, soon), "the broker may lag behind");
    assert!(is_reached(&before, settled), "all that is landed, and the log ends before it");
    assert!(is_reached(&growing, settled), "it is where it was");
    growing.observe_end(instance.committer.tables(), partition, Offset(4), soon);
    assert!(!is_reached(&growing, settled), "it has grown since");
    assert!(!is_reached(&regrown, settled), "the log goes on behind it");
    assert!(
        !is_reached(&later, settled),
        "the end is of the log after the cut, whatever a broker says now"
    );
}
