//! Watermarks set back after a faulty camera clock: whenever that is asked for, and wherever a process dies meanwhile, every
//! event is late by the log and the resets on record, in both tables alike.

use std::sync::Arc;

use lake_delta::{Lake, TableLog};
use lake_model::{KafkaPartition, Offset, Timestamp};
use lake_tables::Table;
use lake_tables::txn::{AppIds, WatermarkReset};
use lake_testing::lake_on;
use lake_testing::stores::{FailingFrom, Failure};
use object_store::memory::InMemory;
use speed_layer::reset::{ResetOutcome, reset_watermark};
use speed_layer::tables::Tables;
use tokio::task::LocalSet;

use crate::exactly_once::merged;
use crate::log_source::Topic;
use crate::oracle::expected_with;
use crate::rivals::{covered, instance, until, without_gaps};
use crate::support::{MINUTE_US, event, held, run_to_end, settings};

/// The offset of the event from the future in each partition.
const MAD: i64 = 15;

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_micros((20_000 * 1440 + minute) * MINUTE_US)
}

/// Two partitions with an event every ten minutes, one of them days ahead of its time, up to `end`.
fn mad_topic(end: i64) -> Arc<Topic> {
    let mut topic = Topic::default();
    for partition in 0..2 {
        let at = |offset| if offset == MAD { 9 * 1440 } else { 10 * offset };
        let camera = |offset| format!("KV{}", (offset + i64::from(partition)) % 3);
        let records = (0..end).map(|o| event(o, &camera(o), at(o), 40_000 + o * 777)).collect();
        topic.partitions.insert(partition, (records, end));
    }
    Arc::new(topic)
}

async fn resets(lake: &Lake) -> Vec<WatermarkReset> {
    let app_ids = AppIds::new("camera-speeds", "camera-events");
    let log = TableLog::open(lake, Table::Events).await.unwrap();
    let partitions = (0..2).map(KafkaPartition);
    partitions.flat_map(|partition| app_ids.watermark_resets(log.state(), partition)).collect()
}

/// Asserts that the tables hold the whole topic as the rules and the resets on record say; returns these.
async fn assert_sound(lake: &Lake, topic: &Topic, case: &str) -> Vec<WatermarkReset> {
    let resets = resets(lake).await;
    assert_eq!(merged(held(lake).await), expected_with(topic, &resets), "{case}: {resets:?}");
    resets
}

async fn reset(lake: &Lake, to: Timestamp) -> ResetOutcome {
    reset_watermark(lake, &settings(), KafkaPartition(0), to).await.unwrap()
}

#[tokio::test]
async fn a_reset_between_two_runs_holds_from_there_on_in_its_partition_alone() {
    let lake = lake_on(Arc::new(InMemory::new()));
    run_to_end(lake.clone(), &mad_topic(40), &settings()).await;
    let ResetOutcome::Reset(made) = reset(&lake, minute(400)).await else { panic!("not reset") };
    assert_eq!((made.offset, made.from, made.to), (Offset(40), minute(9 * 1440), minute(400)));
    run_to_end(lake.clone(), &mad_topic(60), &settings()).await;
    assert_eq!(assert_sound(&lake, &mad_topic(60), "twice").await, [made]);
    let late = |id: i32| {
        move |((p, offset), late): (&(i32, i64), &bool)| *p == id && *offset >= 40 && *late
    };
    let events = held(&lake).await.events;
    assert_eq!(events.iter().filter(|event| late(0)(*event)).count(), 0);
    assert_eq!(events.iter().filter(|event| late(1)(*event)).count(), 20);
}

#[tokio::test]
async fn nothing_is_reset_that_has_no_watermark_or_is_not_ahead() {
    let lake = lake_on(Arc::new(InMemory::new()));
    let early = reset_watermark(&lake, &settings(), KafkaPartition(0), minute(0)).await;
    assert!(early.is_err(), "no lake is made");
    Tables::open(&lake, &settings()).await.unwrap();
    assert_eq!(reset(&lake, minute(0)).await, ResetOutcome::NoWatermark);
    run_to_end(lake.clone(), &mad_topic(40), &settings()).await;
    let greatest = minute(9 * 1440);
    assert_eq!(reset(&lake, greatest).await, ResetOutcome::NotAhead(greatest));
    assert!(matches!(reset(&lake, minute(400)).await, ResetOutcome::Reset(_)));
    assert_eq!(reset(&lake, minute(400)).await, ResetOutcome::NotAhead(minute(400)));
    assert!(matches!(reset(&lake, minute(300)).await, ResetOutcome::Reset(_)));
    assert_eq!(resets(&lake).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_a_crash_that_left_the_tables_apart_judges_both_alike() {
    let topic = mad_topic(60);
    // Rows land at once, averages at their interval.
    let mut settings = settings();
    settings.speed.landing_bytes = 1;
    let (mut made, mut apart) = (0, 0);
    for at in 1.. {
        let inner = Arc::new(InMemory::new());
        let store = FailingFrom::on(inner.clone(), Failure::HangAfterEffect, at);
        let has_finished = tokio::select! {
            () = run_to_end(lake_on(store.clone()), &topic, &settings) => true,
            () = store.struck() => false,
        };
        let lake = lake_on(inner);
        if Tables::open(&lake, &settings).await.is_ok() {
            let held = held(&lake).await;
            apart += u32::from(held.offsets != held.averaged_offsets);
            let _ = reset(&lake, minute(300)).await;
        }
        run_to_end(lake.clone(), &topic, &settings).await;
        made += assert_sound(&lake, &topic, &format!("crash at {at}")).await.len();
        if has_finished {
            break;
        }
    }
    assert!(made > 3 && apart > 3, "{made} resets, tables apart {apart} times");
}

// On a stopped clock every run makes the same commits, so that every place to die at is come to.
#[tokio::test(start_paused = true)]
async fn a_reset_that_dies_anywhere_is_made_whole_by_the_next_load_or_was_never_asked_for() {
    let (mut with, mut without) = (0, 0);
    for at in 1.. {
        for failure in [Failure::Hang, Failure::HangAfterEffect] {
            let inner = Arc::new(InMemory::new());
            let lake = lake_on(inner.clone());
            run_to_end(lake.clone(), &mad_topic(40), &settings()).await;
            let store = FailingFrom::on(inner, failure, at);
            let dying = lake_on(store.clone());
            tokio::select! {
                outcome = reset(&dying, minute(400)) => {
                    assert!(matches!(outcome, ResetOutcome::Reset(_)));
                    assert!(with > 0 && without > 0, "{with} made whole, {without} not asked for");
                    return;
                }
                () = store.struck() => {}
            }
            run_to_end(lake.clone(), &mad_topic(60), &settings()).await;
            match assert_sound(&lake, &mad_topic(60), &format!("{failure:?} at {at}")).await.len() {
                0 => without += 1,
                _ => with += 1,
            }
        }
    }
}

#[tokio::test]
async fn a_reset_while_instances_run_is_taken_up_by_them() {
    LocalSet::new()
        .run_until(async {
            let topic = mad_topic(60);
            let ends = topic.ends().into_iter().collect::<Vec<_>>();
            let mut made = 0;
            for turns in (0..400).step_by(13) {
                let lake = lake_on(Arc::new(InMemory::new()));
                let owner = instance(&lake, &topic, &settings()).await;
                let zombie = instance(&lake, &topic, &settings()).await;
                zombie.assign(&[0, 1]);
                until(&lake, |held| covered(held) > 0).await;
                owner.assign(&[0, 1]);
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                let _ = reset(&lake, minute(300)).await;
                until(&lake, |held| held.offsets == ends && held.averaged_offsets == ends).await;
                owner.stop().await;
                zombie.stop().await;
                let resets = resets(&lake).await;
                let held = without_gaps(held(&lake).await);
                assert_eq!(
                    held,
                    without_gaps(expected_with(&topic, &resets)),
                    "{turns}: {resets:?}"
                );
                made += resets.len();
            }
            assert!(made > 3, "only {made} resets fell into a run");
        })
        .await;
}
