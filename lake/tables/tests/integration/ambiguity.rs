//! Commits on a store that fails: the entry is created or not, and the response says something else or nothing.

use std::sync::Arc;
use std::time::Duration;

use lake_delta::storage::TableOptions;
use lake_delta::{CommitOutcome, Lake, LakeError, TableLog, housekeeping};
use lake_model::{Clock, TableVersion};
use lake_runtime::{RandomIds, SystemClock};
use lake_tables::Table;
use lake_testing::stores::{Fault, Gate, Intercepted, ScriptedFaults};
use lake_testing::{ManualClock, default_options};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::bed::{DAY, contents, entry, events, paths};
use crate::rows;

/// A table, one log of it on a store that fails on demand, and the lake as others have it.
struct Scene {
    store: Arc<Intercepted<ScriptedFaults>>,
    clock: ManualClock,
    log: TableLog,
    sound: Lake,
    /// The lake as a cleaner has it to whom every entry is expired.
    cleaner: Lake,
}

impl Scene {
    async fn new() -> Scene {
        Scene::with_retries_for(Duration::from_secs(60)).await
    }

    async fn with_retries_for(retry_timeout: Duration) -> Scene {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let store = ScriptedFaults::on(Arc::clone(&inner));
        let clock = ManualClock::at(SystemClock.now());
        let on_inner = |ahead| {
            let clock = Arc::new(clock.later(ahead));
            Lake::on_store(Arc::clone(&inner), clock, Arc::new(RandomIds), default_options())
        };
        let (sound, cleaner) = (on_inner(Duration::ZERO), on_inner(2 * DAY));
        events(&sound).await;
        let options = TableOptions { retry_timeout, ..default_options() };
        let faulty: Arc<dyn ObjectStore> = store.clone();
        let log =
            events(&Lake::on_store(faulty, Arc::new(clock.clone()), Arc::new(RandomIds), options))
                .await;
        Scene { store, clock, log, sound, cleaner }
    }

    /// Commits one file through the faults; returns what the log said, and the file's path.
    async fn commit(&mut self) -> (Result<CommitOutcome, LakeError>, String) {
        let file = rows::unwritten(&self.sound, rows::day());
        let path = file.path.clone();
        let commit = lake_delta::Commit::new(&self.sound, "LAND").add([file]);
        (self.log.try_commit(&commit).await, path)
    }

    /// Asserts that the table holds exactly these files in that many versions, and that the log knows.
    async fn holds(&mut self, version: i64, files: &[&str]) {
        self.log.refresh().await.unwrap();
        let other = events(&self.sound).await;
        assert_eq!(contents(&self.log), contents(&other));
        let mut files = files.to_vec();
        files.sort_unstable();
        assert_eq!((other.state().version().0, paths(&other)), (version, owned(&files)));
    }
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// Another writer's commit of one file.
async fn commit_elsewhere(lake: &Lake) -> String {
    let mut log = events(lake).await;
    let before = paths(&log);
    let _ = log.try_commit(&rows::landing(lake)).await.unwrap();
    paths(&log).into_iter().find(|path| !before.contains(path)).unwrap()
}

async fn faults_end_in_one_commit(faults: Vec<Fault>) {
    faults_and_failing_reads_end_in_one_commit(faults, 0, 0).await;
}

/// Reads fail too: so many, once so many succeeded.
async fn faults_and_failing_reads_end_in_one_commit(
    faults: Vec<Fault>,
    once_succeeded: usize,
    failing: usize,
) {
    let mut scene = Scene::new().await;
    scene.store.next(faults.clone());
    scene.store.fail_reads(once_succeeded, failing);
    let (outcome, path) = scene.commit().await;
    scene.store.fail_reads(0, 0);
    assert_eq!(
        outcome.unwrap(),
        CommitOutcome::Committed { version: TableVersion(1) },
        "{faults:?}"
    );
    scene.holds(1, &[&path]).await;
}

#[tokio::test]
async fn after_an_error_after_the_effect_the_commit_is_recognised_as_ours() {
    faults_end_in_one_commit(vec![Fault::AfterEffect]).await;
}

#[tokio::test]
async fn an_error_before_the_effect_is_retried() {
    faults_end_in_one_commit(vec![Fault::BeforeEffect, Fault::BeforeEffect]).await;
}

#[tokio::test]
async fn a_refused_create_without_an_object_is_retried() {
    faults_end_in_one_commit(vec![Fault::RefusedWithoutObject]).await;
}

#[tokio::test]
async fn a_commit_that_arrives_after_the_log_was_read_is_not_made_twice() {
    faults_end_in_one_commit(vec![Fault::Late]).await;
}

#[tokio::test]
async fn reads_that_fail_after_an_ambiguous_create_are_retried() {
    for fault in [Fault::AfterEffect, Fault::BeforeEffect, Fault::RefusedWithoutObject] {
        faults_and_failing_reads_end_in_one_commit(vec![fault], 0, 2).await;
    }
}

#[tokio::test]
async fn a_commit_that_was_read_before_reading_failed_is_not_made_again_on_top() {
    faults_and_failing_reads_end_in_one_commit(vec![Fault::AfterEffect], 1, 1).await;
}

#[tokio::test]
async fn any_mixture_of_faults_ends_in_one_commit() {
    let kinds = [Fault::BeforeEffect, Fault::AfterEffect, Fault::Late, Fault::RefusedWithoutObject];
    for first in &kinds {
        for second in &kinds {
            let faults = vec![first.clone(), second.clone()];
            faults_and_failing_reads_end_in_one_commit(faults, 0, 1).await;
        }
    }
}

#[tokio::test]
async fn our_commit_is_recognised_under_what_others_put_on_top() {
    let mut scene = Scene::new().await;
    let gate = Gate::new();
    scene.store.next([Fault::HeldAfter(Arc::clone(&gate))]);
    let sound = scene.sound.clone();
    let others = async {
        gate.reached().await;
        let on_top = commit_elsewhere(&sound).await;
        gate.open();
        on_top
    };
    let ((outcome, ours), on_top) = tokio::join!(scene.commit(), others);
    assert_eq!(outcome.unwrap(), CommitOutcome::Committed { version: TableVersion(1) });
    assert_eq!(scene.log.state().version(), TableVersion(2));
    scene.holds(2, &[&ours, &on_top]).await;
}

#[tokio::test]
async fn a_version_taken_while_ours_was_on_its_way_is_a_conflict() {
    let mut scene = Scene::new().await;
    let gate = Gate::new();
    scene.store.next([Fault::HeldBefore(Arc::clone(&gate))]);
    let sound = scene.sound.clone();
    let others = async {
        gate.reached().await;
        let theirs = commit_elsewhere(&sound).await;
        gate.open();
        theirs
    };
    let ((outcome, _), theirs) = tokio::join!(scene.commit(), others);
    assert_eq!(outcome.unwrap(), CommitOutcome::Conflict);
    scene.holds(1, &[&theirs]).await;
}

#[tokio::test]
async fn a_version_taken_between_tries_is_a_conflict_and_no_other_version_is_tried() {
    let mut scene = Scene::new().await;
    let gate = Gate::new();
    scene.store.next([Fault::BeforeEffect, Fault::HeldBefore(Arc::clone(&gate))]);
    let sound = scene.sound.clone();
    let others = async {
        gate.reached().await;
        let theirs = [commit_elsewhere(&sound).await, commit_elsewhere(&sound).await];
        gate.open();
        theirs
    };
    let ((outcome, _), theirs) = tokio::join!(scene.commit(), others);
    assert_eq!(outcome.unwrap(), CommitOutcome::Conflict);
    scene.holds(2, &[&theirs[0], &theirs[1]]).await;
}

#[tokio::test]
async fn retries_end_with_a_transient_error_and_the_table_as_it_was() {
    for fault in [Fault::BeforeEffect, Fault::RefusedWithoutObject] {
        let mut scene = Scene::with_retries_for(Duration::from_millis(200)).await;
        scene.store.always(fault);
        let (outcome, _) = scene.commit().await;
        let error = outcome.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("commit version 1 of table events"), "{error}");
        assert!(scene.store.creations() > 1);
        scene.holds(0, &[]).await;
    }
}

/// Commits through `fault` while others commit four times, clean the log, and two days pass.
async fn commit_through_a_long_pause(
    scene: &mut Scene,
    fault: impl Fn(Arc<Gate>) -> Fault,
) -> (CommitOutcome, String) {
    let gate = Gate::new();
    scene.store.next([fault(Arc::clone(&gate))]);
    let (sound, cleaner, clock) = (scene.sound.clone(), scene.cleaner.clone(), scene.clock.clone());
    let others = async {
        gate.reached().await;
        for _ in 0..4 {
            commit_elsewhere(&sound).await;
        }
        housekeeping::checkpoint(&cleaner, Table::Events).await.unwrap();
        clock.advance(2 * DAY);
        gate.open();
    };
    let ((outcome, path), ()) = tokio::join!(scene.commit(), others);
    (outcome.unwrap(), path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_put_into_a_hole_after_a_long_pause_is_no_commit() {
    let mut scene = Scene::new().await;
    let (outcome, path) = commit_through_a_long_pause(&mut scene, Fault::HeldBefore).await;
    assert_eq!(outcome, CommitOutcome::Conflict);
    assert!(entry(&scene.sound, 1).await.is_some(), "it was put, and nobody reads it");
    let files = paths(&scene.log);
    assert!(files.len() == 4 && !files.contains(&path), "{files:?}");
    scene.holds(4, &files.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_entry_was_cleaned_away_meanwhile_is_known_by_its_files() {
    let mut scene = Scene::new().await;
    let (outcome, path) = commit_through_a_long_pause(&mut scene, Fault::HeldAfter).await;
    assert_eq!(outcome, CommitOutcome::Committed { version: TableVersion(1) });
    assert_eq!(entry(&scene.sound, 1).await, None);
    assert!(scene.log.state().file(&path).is_some());
    assert_eq!(scene.log.state().version(), TableVersion(5));
}
