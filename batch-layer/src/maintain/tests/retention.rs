//! Days past their retention are dropped once they are final and gone from Kafka, and the audit stays in order.

use std::time::Duration;

use lake_model::finalization::DayDecision;

use super::*;

/// A world whose two days are past their retention.
pub(super) async fn expired() -> World {
    let mut world = world().await;
    world.nightly().await;
    world.context.settings.maintain.event_retention = Some(Duration::from_secs(86_400));
    world.set_clock("2025-04-20T12:00:00Z");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn days_past_retention_are_dropped_frozen_and_still_served_and_audited() {
    let world = expired().await;
    let served = world.served(day(DAY)).await;
    world.kafka_has(0, 24..24);
    world.kafka_has(1, 24..24);
    let report = maintain(&world).await;
    assert_eq!(report.dropped_days, [day(DAY), day("2025-04-06")]);
    assert_eq!(world.log(Table::Events).await.state().files().count(), 0);
    assert_eq!(world.served(day(DAY)).await, served);
    let plan = world.nightly().await.planned;
    assert!(plan.iter().all(|planned| planned.decision == DayDecision::Frozen));
    let audited = audit::run(&world.context).await.unwrap();
    assert!(audited.is_ok(), "{audited}");
    assert_eq!(audited.partitions[0].first_offset, Offset(24));
    let verified = verify::run(&world.context, day(DAY)).await.unwrap();
    assert_eq!(verified.verdict, verify::Verdict::Frozen);
    let before = versions(&world).await;
    assert!(maintain(&world).await.dropped_days.is_empty());
    assert_eq!(versions(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_kafka_still_holds_stays_and_those_after_it_too() {
    let world = expired().await;
    world.kafka_has(0, 23..24);
    world.kafka_has(1, 24..24);
    assert!(maintain(&world).await.dropped_days.is_empty());
    world.kafka_has(0, 24..24);
    world.kafka_has(1, 23..24);
    assert_eq!(maintain(&world).await.dropped_days, [day(DAY)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_day_is_not_dropped() {
    let mut world = expired().await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    world.kafka_has(0, 25..25);
    world.kafka_has(1, 24..24);
    assert!(maintain(&world).await.dropped_days.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_of_a_dropped_day_among_offsets_of_a_kept_one_leave_the_audit_in_order() {
    let mut world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    let kept = seen("KV1", "2025-04-06T11:00:00Z", 60_000);
    let old = seen("KV1", "2025-04-05T11:00:00Z", 70_000);
    world.process(&[old.clone(), kept.clone(), old.late(), kept]).await;
    world.nightly().await;
    world.context.settings.maintain.event_retention = Some(Duration::from_secs(86_400));
    world.kafka_has(0, 3..4);
    assert_eq!(maintain(&world).await.dropped_days, [day(DAY)]);
    let audited = audit::run(&world.context).await.unwrap();
    assert!(audited.is_ok(), "{audited}");
    assert_eq!(audited.partitions[0].first_offset, Offset(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_between_the_floor_and_the_removal_leaves_the_audit_in_order() {
    let world = expired().await;
    let gap = |partition| OffsetGap {
        kafka_partition: KafkaPartition(partition),
        range: OffsetRange::new(Offset::ZERO, Offset(24)),
        reason: GapReason::Retention,
        noted_at: at("2025-04-20T12:00:00Z"),
    };
    world.note_gaps(&[gap(0), gap(1)]).await;
    assert!(audit::run(&world.context).await.unwrap().is_ok());
    assert!(world.nightly().await.is_complete());
    world.kafka_has(0, 24..24);
    world.kafka_has(1, 24..24);
    let floors = world.version(Table::OffsetGaps).await;
    assert_eq!(maintain(&world).await.dropped_days.len(), 2);
    assert_eq!(world.version(Table::OffsetGaps).await, floors);
    assert!(audit::run(&world.context).await.unwrap().is_ok());
}
