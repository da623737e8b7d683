//! What becomes of the days whose files are taken out.

use std::sync::Mutex;

use lake_testing::stores::{Intercept, Intercepted, Request};

use super::*;
use crate::Context;

#[tokio::test(flavor = "multi_thread")]
async fn a_final_day_that_loses_its_last_file_keeps_its_rows_and_is_frozen() {
    let mut world = world().await;
    world.nightly().await;
    maintain(&world).await;
    let served = world.served(day(DAYS[1])).await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    assert!(file_kind::is_compacted(&file));
    world.damage(Table::Events, &file, Damage::Torn).await;
    let report = quarantine(&world, &file).await;
    assert!(report.is_last_of_day, "{report}");
    assert_in_order(&world).await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    let days = DayFilter::only(day(DAYS[1]));
    let report = world.nightly_with(NightlyOptions { days, force: true, ..options() }).await;
    assert_eq!(report.planned[0].decision, DayDecision::Frozen);
    assert_eq!(world.served(day(DAYS[1])).await, served);
    assert!(maintain(&world).await.is_complete());
    assert_in_order(&world).await;
}

#[tokio::test]
async fn a_day_that_is_not_final_and_loses_its_last_file_is_made_final_from_what_lands_later() {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    world.process(&[seen("KV1", "2025-04-05T10:00:00Z", 60_000)]).await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Lost).await;
    assert!(quarantine(&world, &file).await.is_ok());
    assert_eq!(world.nightly().await.planned[0].decision, DayDecision::Empty);
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    assert_eq!(world.nightly().await.done[0].rows_read, 1);
    assert_in_order(&world).await;
}

#[tokio::test]
async fn a_file_of_a_day_that_retention_froze_is_taken_out_and_the_day_stays_frozen() {
    let mut world = world().await;
    world.nightly().await;
    let floor = (world.context.app_ids.retention_floor(), i64::from(day(DAYS[1]).plus(1).days()));
    let dropped = world.log(Table::Events).await;
    let dropped: Vec<_> = [DAYS[0], DAYS[1]]
        .iter()
        .flat_map(|of| dropped.state().files_of(day(of)).cloned().collect::<Vec<_>>())
        .collect();
    let gap = |kafka_partition| OffsetGap {
        kafka_partition,
        range: OffsetRange::new(Offset(0), Offset(23)),
        reason: GapReason::Retention,
        noted_at: at("2025-04-08T12:00:00Z"),
    };
    world.note_gaps(&[gap(KafkaPartition(0)), gap(KafkaPartition(1))]).await;
    let commit = Commit::new(&world.context.lake, "DROP DAYS").remove(dropped).txns([floor]);
    world.commit(Table::Events, &commit).await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    assert!(!audit::run(&world.context).await.unwrap().is_ok());
    let report = quarantine(&world, &file).await;
    assert_eq!(
        report.noted.get(&KafkaPartition(0)).unwrap(),
        &[OffsetRange::single(Offset(24))],
        "{report}"
    );
    assert_in_order(&world).await;
    let plan = world.nightly().await.planned;
    let frozen = plan.iter().find(|planned| planned.day == day(DAYS[1])).unwrap();
    assert_eq!(frozen.decision, DayDecision::Frozen);
}

#[tokio::test]
async fn a_final_day_that_gained_as_many_rows_as_it_lost_is_computed_again() {
    let mut world = world().await;
    world.nightly().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    assert!(quarantine(&world, &file).await.is_ok());
    let late = seen("KV9", "2025-04-05T11:00:00Z", 70_000).late();
    world.land(&vec![late; 4]).await;
    let again: Vec<_> = world.nightly().await.done.iter().map(|run| run.day()).collect();
    assert_eq!(again, [day(DAYS[1])]);
    assert!(world.nightly().await.done.is_empty());
    assert_in_order(&world).await;
}

#[tokio::test]
async fn a_day_made_final_from_a_file_that_was_quarantined_meanwhile_is_frozen() {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    world.process(&[seen("KV1", "2025-04-05T10:00:00Z", 60_000)]).await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    let beside = Context::new(world.context.settings.clone(), world.context.lake.clone()).unwrap();
    let options = QuarantineOptions { force: true, ..quarantine_of(Table::Events, &file) };
    world.decorate(|behind| {
        Intercepted::new(behind, Quarantining { with: Mutex::new(Some((beside, options))) })
    });
    assert_eq!(world.nightly().await.done.len(), 1);
    assert!(!is_named(&world, Table::Events, &file).await);
    let served = world.served(day(DAYS[1])).await;
    assert_in_order(&world).await;
    world.land(&[seen("KV1", "2025-04-05T11:00:00Z", 70_000).late()]).await;
    assert_eq!(world.nightly().await.planned[0].decision, DayDecision::Frozen);
    assert_eq!(world.served(day(DAYS[1])).await, served);
    assert_in_order(&world).await;
}

/// Before a commit of `avg_speed`, a file is quarantined.
#[derive(Debug)]
struct Quarantining {
    with: Mutex<Option<(Context, QuarantineOptions)>>,
}

impl Intercept for Quarantining {
    async fn around<T: Send>(
        &self,
        request: Request<'_>,
        operation: impl Future<Output = object_store::Result<T>> + Send,
    ) -> object_store::Result<T> {
        if let Request::Put { location, .. } = request
            && location.as_ref().contains("avg_speed/_delta_log")
        {
            let due = self.with.lock().unwrap().take();
            if let Some((context, options)) = due {
                // Another runtime: its future can't be sent between threads.
                let quarantine = move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_all().build();
                    runtime.unwrap().block_on(run(&context, &options)).unwrap().is_ok()
                };
                assert!(std::thread::spawn(quarantine).join().unwrap());
            }
        }
        operation.await
    }
}
