//! Cases about the commit loop: writers that are overtaken, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lake_delta::{Commit, CommitDecision, Committed, Lake, LakeError, TableLog, commit_with};
use lake_model::TableVersion;
use lake_tables::Table;
use lake_testing::lake_in_memory;
use lake_testing::stores::{Fault, ScriptedFaults};
use metrics_exporter_prometheus::PrometheusBuilder;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tokio::time::Instant;

use crate::bed::{entry, events, paths};
use crate::rows;

/// A table, a log to commit to and one of another writer.
struct Contest {
    lake: Lake,
    ours: TableLog,
    theirs: TableLog,
}

impl Contest {
    async fn new() -> Contest {
        let lake = lake_in_memory();
        Contest { ours: events(&lake).await, theirs: events(&lake).await, lake }
    }
}

/// One more commit of the other writer, which lies between a decision and its commit.
async fn overtake(theirs: &mut TableLog) {
    theirs.refresh().await.unwrap();
    let commit = rows::landing(theirs.lake());
    let _ = theirs.try_commit(&commit).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_overtaken_decides_again_and_commits_the_same_file() {
    let Contest { lake, mut ours, mut theirs } = Contest::new().await;
    let file = rows::unwritten(&lake, rows::day());
    let mut seen = Vec::new();
    let committed = commit_with(&mut ours, async |log: &TableLog| {
        seen.push(log.state().version().0);
        if seen.len() <= 7 {
            overtake(&mut theirs).await;
        }
        let commit = Commit::new(&lake, "LAND").add([file.clone()]);
        Ok::<_, LakeError>(CommitDecision::Commit(commit, seen.len()))
    });
    assert_eq!(committed.await.unwrap(), Committed { version: Some(TableVersion(8)), value: 8 });
    assert_eq!(seen, (0..=7).collect::<Vec<_>>(), "each decision is on the newest version");
    let line = &entry(&lake, 8).await.unwrap()[1];
    assert_eq!(line["add"]["path"], file.path.as_str());
    assert_eq!(ours.state().files().count(), 8);
    theirs.refresh().await.unwrap();
    assert_eq!(paths(&ours), paths(&theirs));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_always_overtaken_gives_up_with_the_table_and_the_remedy() {
    let Contest { lake, mut ours, mut theirs } = Contest::new().await;
    let (begun, mut decisions) = (Instant::now(), 0_u32);
    let committed = commit_with(&mut ours, async |_: &TableLog| {
        decisions += 1;
        overtake(&mut theirs).await;
        let commit = Commit::new(&lake, "LAND").add([rows::unwritten(&lake, rows::day())]);
        Ok::<_, LakeError>(CommitDecision::Commit(commit, ()))
    });
    let error = committed.await.unwrap_err();
    assert!(matches!(error, LakeError::Overtaken { table: "events", tries } if tries == decisions));
    assert!(error.is_transient(), "later there may be fewer writers");
    let message = error.to_string();
    for words in ["events", &format!("{decisions} times"), "lake.uri", "try again"] {
        assert!(message.contains(words), "{message}");
    }
    assert!(begun.elapsed() > std::time::Duration::from_secs(60), "it waits between the tries");
    assert_eq!(
        theirs.state().version(),
        TableVersion(decisions.into()),
        "all commits are the other's"
    );
}

#[tokio::test]
async fn a_decision_to_commit_nothing_commits_nothing() {
    let Contest { lake, mut ours, .. } = Contest::new().await;
    let committed = commit_with(&mut ours, async |log: &TableLog| {
        Ok::<_, LakeError>(CommitDecision::Nothing(log.state().version().0))
    });
    assert_eq!(committed.await.unwrap(), Committed { version: None, value: 0 });
    assert_eq!(entry(&lake, 1).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_overtaken_may_find_nothing_left_to_do() {
    let Contest { lake, mut ours, mut theirs } = Contest::new().await;
    let committed = commit_with(&mut ours, async |log: &TableLog| {
        if log.state().files().next().is_some() {
            return Ok::<_, LakeError>(CommitDecision::Nothing("there is a file"));
        }
        overtake(&mut theirs).await;
        Ok(CommitDecision::Commit(rows::landing(&lake), "ours"))
    });
    let expected = Committed { version: None, value: "there is a file" };
    assert_eq!(committed.await.unwrap(), expected);
    assert_eq!(ours.state().version(), TableVersion(1));
}

#[tokio::test]
async fn the_error_of_a_decision_ends_the_loop_and_commits_nothing() {
    let Contest { lake, mut ours, .. } = Contest::new().await;
    let committed = commit_with(&mut ours, async |_: &TableLog| {
        Err::<CommitDecision<()>, _>(LakeError::data_file("a.parquet", "damaged"))
    });
    assert!(matches!(committed.await.unwrap_err(), LakeError::DataFile { .. }));
    assert_eq!(entry(&lake, 1).await, None);
}

/// A commit that arrived though the store failed is recognised: the loop does not take its own entry for another's.
#[tokio::test(start_paused = true)]
async fn a_commit_that_the_store_failed_to_acknowledge_is_no_lost_race() {
    let store = ScriptedFaults::on(Arc::new(InMemory::new()));
    let sound = lake_in_memory();
    let inner: Arc<dyn ObjectStore> = store.clone();
    let (clock, ids) = (Arc::clone(sound.clock()), Arc::clone(sound.ids()));
    let lake = Lake::on_store(inner, clock, ids, *sound.options());
    let mut log = TableLog::open_or_create(&lake, Table::Events, &[]).await.unwrap();
    store.next([Fault::BeforeEffect, Fault::AfterEffect]);
    let decisions = AtomicUsize::new(0);
    let committed = commit_with(&mut log, async |_: &TableLog| {
        decisions.fetch_add(1, Ordering::Relaxed);
        Ok::<_, LakeError>(CommitDecision::Commit(rows::landing(&lake), ()))
    });
    assert_eq!(committed.await.unwrap().version, Some(TableVersion(1)));
    assert_eq!(decisions.into_inner(), 1);
}

#[test]
fn lost_races_are_counted_by_table() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let contest = async {
        let Contest { lake, mut ours, mut theirs } = Contest::new().await;
        let mut races = 0;
        let committed = commit_with(&mut ours, async |_: &TableLog| {
            races += 1;
            if races <= 3 {
                overtake(&mut theirs).await;
            }
            Ok::<_, LakeError>(CommitDecision::Commit(rows::landing(&lake), ()))
        });
        assert_eq!(committed.await.unwrap().version, Some(TableVersion(4)));
    };
    metrics::with_local_recorder(&recorder, || runtime.unwrap().block_on(contest));
    let counted = recorder.handle().render();
    let expected = "lambdalake_commit_conflicts_total{table=\"events\"} 3";
    assert!(counted.contains(expected), "{counted}");
}
