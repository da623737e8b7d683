//! Takeovers on lakes in memory: where partitions start, and which are left out or refused.

#![allow(clippy::unwrap_used)]

use lake_delta::Lake;
use lake_tables::Table;

use crate::recovery::RecoveryError;
use crate::source::{AssignedPartition, Start};
use crate::test_instance::{Instance, assigned, lake, offsets, whole};

use super::*;

const PARTITION: KafkaPartition = KafkaPartition(0);

fn start(offset: i64, epoch: u64) -> Start {
    Start { partition: PARTITION, offset: Offset(offset), epoch, leader_epoch: None }
}

/// Loads one partition with what Kafka has of it.
async fn load(
    instance: &mut Instance,
    assigned: AssignedPartition,
) -> Result<Vec<Start>, RecoveryError> {
    let (held, committer) = (&mut instance.partitions, &mut instance.committer);
    instance.takeover.load(&[assigned], held, committer, &instance.rules).await
}

/// A lake whose tables hold partition 0 up to `next`.
async fn lake_up_to(next: i64) -> Lake {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive_events(0, 0, next);
    instance.land().await;
    instance.average(true).await;
    lake
}

#[tokio::test]
async fn a_partition_starts_at_the_lesser_offset_of_events_and_averages() {
    for (landed, averaged) in [(5, 3), (3, 5)] {
        let lake = lake();
        let mut old = Instance::holding(&lake, &[0]).await;
        for (step, (first, next)) in [(0, 3), (3, 5)].into_iter().enumerate() {
            old.receive_events(0, first, next - first);
            if step == 0 || landed == next {
                old.land().await;
            }
            if step == 0 || averaged == next {
                old.average(true).await;
            }
        }
        let mut new = Instance::on(&lake).await;
        let starts = new.take_over(&[0]).await;
        assert_eq!(starts, [start(3, 1)], "{landed} {averaged}");
        assert_eq!(new.partitions.get(PARTITION).unwrap().position(), Offset(3));
    }
}

#[tokio::test]
async fn what_others_committed_since_the_tables_were_opened_counts() {
    let lake = lake();
    let mut early = Instance::on(&lake).await;
    let mut other = Instance::holding(&lake, &[0]).await;
    other.receive_events(0, 0, 4);
    other.land().await;
    other.average(true).await;
    assert_eq!(early.take_over(&[0]).await[0].offset, Offset(4));
}

#[tokio::test]
async fn every_load_has_an_epoch_of_its_own() {
    let mut instance = Instance::on(&lake()).await;
    let mut epochs: Vec<u64> =
        instance.take_over(&[0, 1]).await.iter().map(|start| start.epoch).collect();
    epochs.extend(instance.take_over(&[0]).await.iter().map(|start| start.epoch));
    assert_eq!(epochs, [1, 2, 3]);
    assert!(
        instance.partitions.current(PARTITION, 1).is_none(),
        "records of the first load are stale"
    );
    assert!(instance.partitions.current(PARTITION, 3).is_some());
}

#[tokio::test]
async fn a_partition_that_ends_too_early_is_asked_about_again_before_it_is_refused() {
    let mut new = Instance::on(&lake_up_to(4).await).await;
    let short = assigned(0, 0, 2);
    assert_eq!(load(&mut new, short).await.unwrap(), []);
    assert!(new.partitions.get(PARTITION).is_none());
    let refused = load(&mut new, short).await.unwrap_err();
    let RecoveryError::Shorter { partition, wanted, end, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!((partition, wanted, end), (PARTITION, Offset(4), Offset(2)));
}

#[tokio::test]
async fn a_partition_that_ended_too_early_by_old_bounds_starts_by_newer_ones() {
    let mut new = Instance::on(&lake_up_to(4).await).await;
    let short = assigned(0, 0, 2);
    assert_eq!(load(&mut new, short).await.unwrap(), []);
    assert_eq!(load(&mut new, whole(0)).await.unwrap()[0].offset, Offset(4));
}

#[tokio::test]
async fn records_gone_from_kafka_are_refused_unless_their_loss_is_accepted() {
    let mut new = Instance::on(&lake_up_to(4).await).await;
    let gone = assigned(0, 6, 9);
    let refused = load(&mut new, gone).await.unwrap_err();
    let RecoveryError::Gone { partition, wanted, available } = refused else { panic!("{refused}") };
    assert_eq!((partition, wanted, available), (PARTITION, Offset(4), Offset(6)));
    new.takeover = Takeover::new(true);
    assert_eq!(load(&mut new, gone).await.unwrap()[0].offset, Offset(6));
}

#[tokio::test]
async fn a_partition_that_another_writer_moved_is_loaded_without_what_was_held_of_it() {
    let lake = lake();
    let mut old = Instance::holding(&lake, &[0]).await;
    old.receive_events(0, 0, 9);
    let mut new = Instance::holding(&lake, &[0]).await;
    new.receive_events(0, 0, 3);
    new.land().await;
    new.average(true).await;
    let (held, committer) = (&mut old.partitions, &mut old.committer);
    let starts = old.takeover.reload(PARTITION, held, committer, &old.rules).await.unwrap();
    assert_eq!(starts, [start(3, 2)]);
    let loaded = old.partitions.get(PARTITION).unwrap();
    assert!(loaded.landing.is_empty());
    assert_eq!(loaded.position(), Offset(3));
}

#[tokio::test]
async fn records_gone_before_averages_began_are_a_loss_from_where_consuming_began() {
    for landed in [true, false] {
        let lake = lake();
        let mut instance = Instance::on(&lake).await;
        load(&mut instance, assigned(0, 3, 10)).await.unwrap();
        instance.receive_events(0, 3, 5);
        // The program ends before its averages are committed, or even before the events are.
        if landed {
            assert!(instance.land().await.is_empty());
        } else {
            instance.land_beside_events().await;
        }
        let mut new = Instance::on(&lake).await;
        assert_eq!(load(&mut new, assigned(0, 3, 10)).await.unwrap()[0].offset, Offset(3));
        let refused = load(&mut new, assigned(0, 6, 10)).await.unwrap_err();
        let RecoveryError::Gone { wanted, available, .. } = refused else { panic!("{refused}") };
        assert_eq!((wanted, available), (Offset(3), Offset(6)), "{landed}");
        new.takeover = Takeover::new(true);
        assert_eq!(load(&mut new, assigned(0, 6, 10)).await.unwrap()[0].offset, Offset(6));
        new.receive_events(0, 6, 4);
        new.land().await;
        let gaps = if landed { vec![0, 1, 2] } else { vec![0, 1, 2, 3, 4, 5] };
        let gaps: Vec<_> = gaps.into_iter().map(|offset| (0, offset)).collect();
        assert_eq!(offsets(&lake, Table::OffsetGaps).await, gaps);
    }
}
