//! Cases about writers that are suspended until vacuum may have deleted what they have uploaded and not committed.

use std::time::Duration;

use lake_delta::{
    Commit, CommitDecision, CommitOutcome, Committed, Lake, LakeError, TableLog, commit_with,
    housekeeping,
};
use lake_model::TableVersion;
use lake_tables::Table;

use crate::bed::{Bed, DAY, entry, events};
use crate::rows;

/// A vacuum that is about to delete orphans by the clock of `lake`.
async fn announce(lake: &Lake) {
    let mut log = events(lake).await;
    let commit = Commit::new(lake, "VACUUM START").announce_vacuum(lake.now());
    assert!(matches!(log.try_commit(&commit).await.unwrap(), CommitOutcome::Committed { .. }));
}

fn refused_path(error: LakeError) -> String {
    assert!(error.is_transient(), "the work can be done again: {error}");
    match error {
        LakeError::Vacuumed { table: "events", path } => path,
        error => panic!("{error}"),
    }
}

pub async fn a_writer_suspended_before_its_commit_does_not_name_a_file_that_vacuum_may_have_taken(
    bed: Bed,
) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let file = rows::unwritten(&lake, rows::day());
    let (mut decisions, before) = (0, lake.now());
    let committed = commit_with(&mut log, async |_: &TableLog| {
        decisions += 1;
        if decisions == 1 {
            // It has looked whether its file is there, and is suspended here.
            announce(&bed.lake_ahead(3 * DAY)).await;
        }
        let commit = Commit::new(&lake, "LAND").add([file.clone()]);
        Ok::<_, LakeError>(CommitDecision::Commit(commit, ()))
    });
    assert_eq!(refused_path(committed.await.unwrap_err()), file.path);
    assert_eq!(decisions, 2, "the first decision lost its race against the announcement");
    assert_eq!(log.state().vacuumed_before(), Some(bed.lake_ahead(3 * DAY).now()));
    assert!(log.state().vacuumed_before() > Some(before));
    assert_eq!(log.state().files().count(), 0);
}

pub async fn files_that_are_uploaded_after_the_announced_instant_are_committed(bed: Bed) {
    let lake = bed.lake();
    announce(&lake).await;
    let mut log = events(&lake).await;
    // At the very instant, and later.
    let (at, later) = (rows::landing(&lake), rows::landing(&bed.lake_ahead(DAY)));
    for (commit, version) in [(at, 2), (later, 3)] {
        let committed = commit_with(&mut log, async |_: &TableLog| {
            Ok::<_, LakeError>(CommitDecision::Commit(commit.clone(), ()))
        });
        let version = Some(TableVersion(version));
        assert_eq!(committed.await.unwrap(), Committed { version, value: () });
    }
    bed.clock.advance(Duration::from_micros(1));
    let old = rows::landing(&lake);
    bed.clock.advance(Duration::from_micros(1));
    announce(&lake).await;
    assert_eq!(log.try_commit(&old).await.unwrap(), CommitOutcome::Conflict);
    refused_path(log.try_commit(&old).await.unwrap_err());
}

pub async fn an_announcement_outlives_the_entry_that_holds_it(bed: Bed) {
    let clock = bed.clock.later(Duration::ZERO);
    let lake = bed.lake_with(&clock, lake_testing::default_options());
    let mut suspended = events(&lake).await;
    let commit = rows::landing(&lake);
    let ahead = bed.lake_ahead(3 * DAY);
    announce(&ahead).await;
    let mut log = events(&ahead).await;
    let _ = log.try_commit(&rows::landing(&ahead)).await.unwrap();
    housekeeping::checkpoint(&bed.lake_ahead(9 * DAY), Table::Events).await.unwrap();
    assert_eq!(entry(&lake, 1).await, None, "the announcement's own entry is gone");
    clock.advance(5 * DAY);
    assert_eq!(suspended.try_commit(&commit).await.unwrap(), CommitOutcome::Conflict);
    refused_path(suspended.try_commit(&commit).await.unwrap_err());
}
