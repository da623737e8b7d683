//! Files of dead letters, which land before the events that come after them.

use super::*;

async fn quarantine_letters(world: &World) -> QuarantineReport {
    let file = world.a_file(Table::DeadLetters, day(DAYS[1])).await;
    world.damage(Table::DeadLetters, &file, Damage::Torn).await;
    run(&world.context, &quarantine_of(Table::DeadLetters, &file)).await.unwrap()
}

/// Writes that `table` reaches `next` in partition 0.
async fn reach(world: &World, table: Table, next: i64) {
    let next = (world.context.app_ids.next_offset(KafkaPartition(0)), next);
    world.commit(table, &Commit::new(&world.context.lake, "REACH").txns([next])).await;
}

#[tokio::test]
async fn dead_letters_are_quarantined_too() {
    let mut world = world().await;
    world.add_dead_letter(day(DAYS[1]), 0, 24).await;
    reach(&world, Table::Events, 25).await;
    world.land(&[seen("KV1", "2025-04-06T11:00:00Z", 70_000)]).await;
    assert!(quarantine_letters(&world).await.is_ok());
    assert_eq!(quarantined(&world).await, [(KafkaPartition(0), Offset(24))]);
    assert_in_order(&world).await;
}

#[tokio::test]
async fn dead_letters_that_events_have_not_reached_are_accounted_for() {
    let world = world().await;
    world.add_dead_letter(day(DAYS[1]), 0, 24).await;
    reach(&world, Table::DeadLetters, 25).await;
    assert!(quarantine_letters(&world).await.is_ok());
    reach(&world, Table::Events, 25).await;
    assert_eq!(quarantined(&world).await, [(KafkaPartition(0), Offset(24))]);
    assert_in_order(&world).await;
}
