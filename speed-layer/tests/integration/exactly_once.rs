//! Every offset lands once and every window counts what it must, wherever the process dies.

use std::sync::Arc;

use lake_testing::lake_on;
use lake_testing::stores::{FailingFrom, Failure};
use object_store::memory::InMemory;

use crate::oracle::expected;
use crate::support::{held, run_to_end, settings, topic};

#[tokio::test]
async fn a_topic_lands_once_and_is_averaged_as_the_rules_say() {
    let (lake, topic) = (lake_on(Arc::new(InMemory::new())), topic());
    run_to_end(lake.clone(), &topic, &settings()).await;
    let held = held(&lake).await;
    let late = held.events.values().filter(|late| **late).count();
    assert!(
        late > 0
            && late < held.event_rows
            && !held.dead_letters.is_empty()
            && !held.gaps.is_empty()
    );
    assert_eq!(merged(held), expected(&topic));
}

#[tokio::test]
async fn a_second_run_commits_nothing() {
    let (lake, topic) = (lake_on(Arc::new(InMemory::new())), topic());
    run_to_end(lake.clone(), &topic, &settings()).await;
    let before = versions(&lake).await;
    run_to_end(lake.clone(), &topic, &settings()).await;
    assert_eq!(versions(&lake).await, before);
}

#[tokio::test]
async fn wherever_the_process_dies_a_restart_completes_the_tables() {
    let topic = topic();
    let mut crashes = 0;
    for at in 1.. {
        let mut all_finished = true;
        for failure in [Failure::Hang, Failure::HangAfterEffect] {
            let finished = crash_and_restart(&topic, failure, at).await;
            all_finished &= finished;
            crashes += u32::from(!finished);
        }
        if all_finished || at > 400 {
            break;
        }
    }
    assert!(crashes > 60, "only {crashes} crashes were tried");
}

/// Returns whether the run ended before it could crash.
async fn crash_and_restart(
    topic: &Arc<crate::log_source::Topic>,
    failure: Failure,
    at: u64,
) -> bool {
    let inner = Arc::new(InMemory::new());
    let store = FailingFrom::on(inner.clone(), failure, at);
    let settings = settings();
    let finished = tokio::select! {
        () = run_to_end(lake_on(store.clone()), topic, &settings) => true,
        () = store.struck() => false,
    };
    let lake = lake_on(inner);
    run_to_end(lake.clone(), topic, &settings).await;
    let (held, expected) = (merged(held(&lake).await), expected(topic));
    assert_eq!(held.gaps, expected.gaps, "{failure:?} at {at}");
    assert_eq!(held.dead_letters, expected.dead_letters, "{failure:?} at {at}");
    assert_eq!((held.event_rows, held.average_rows), (expected.event_rows, expected.average_rows));
    assert_eq!(held, expected, "{failure:?} at {at}");
    finished
}

/// Gaps may be noted in several pieces.
pub fn merged(mut held: crate::support::Held) -> crate::support::Held {
    let mut gaps: Vec<(i32, lake_model::OffsetRange)> = Vec::new();
    for (partition, range) in std::mem::take(&mut held.gaps) {
        match gaps.last_mut() {
            Some((last, merged)) if *last == partition && merged.next == range.first => {
                merged.next = range.next;
            }
            _ => gaps.push((partition, range)),
        }
    }
    held.gaps = gaps;
    held
}

async fn versions(lake: &lake_delta::Lake) -> Vec<lake_model::TableVersion> {
    let mut versions = Vec::new();
    for table in lake_tables::Table::ALL {
        versions.push(lake_delta::TableLog::open(lake, table).await.unwrap().state().version());
    }
    versions
}
