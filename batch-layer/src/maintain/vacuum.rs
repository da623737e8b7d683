//! Deleting data files that no version within the retention names.
//!
//! A file that a commit removed goes once that is longer ago than `lake.deleted_file_retention`. A file that
//! no log names, left by a writer that lost a race or was killed, goes once it is older than
//! `maintain.orphan_retention`.
//!
//! # Consistency
//! The store is listed first and the log is read afterwards. A file that is named by then stays, and one that is
//! written later is not in the list. A file that its writer has not named yet is younger than any orphan's age, unless the
//! writer was suspended for that long: so before orphans are deleted, a commit announces it ([`lake_delta::log`]), made on
//! the very version that the files were judged by. It says that files may be gone whose upload began up to
//! half of `maintain.orphan_retention` ago, which is half of it more than what is deleted: by so much the clocks of
//! the writer, the store and this process may differ, and so long a writer may take from an upload to its commit. Without
//! orphans there is no commit.
//!
//! # Crash consistency
//! A run that is killed after its announcement leaves files to the next run, which announces anew. Writers that have read
//! an announcement do without their files, whether these are deleted or not.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use lake_delta::{
    Commit, CommitDecision, Lake, LakeError, TableLog, TableState, commit_with, housekeeping,
};
use lake_model::Timestamp;
use lake_tables::Table;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::report::MaintainReport;
use crate::context::Context;
use crate::error::BatchError;

/// What the announcement is called in a table's history.
const OPERATION: &str = "VACUUM START";

/// What the decision about a file is made on. Times are in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Facts {
    is_active: bool,
    /// When a commit removed it, if the log still holds that.
    removed_at: Option<i64>,
    modified_at: i64,
}

/// The ages from which files go, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Ages {
    removed: i64,
    orphan: i64,
}

/// Whether a file goes at the instant `now`.
fn may_go(facts: Facts, ages: Ages, now: i64) -> bool {
    match facts.removed_at {
        _ if facts.is_active => false,
        Some(removed_at) => now.saturating_sub(removed_at) > ages.removed,
        None => now.saturating_sub(facts.modified_at) > ages.orphan,
    }
}

/// Deletes the files of `table` that may go.
pub(super) async fn vacuum(
    context: &Context,
    table: Table,
    report: &mut MaintainReport,
) -> Result<(), BatchError> {
    let now = context.now();
    let listed = data_files(&context.lake, table).await?;
    let mut log = context.open(table).await?;
    let is_dry_run = report.dry_run;
    let announced = commit_with(&mut log, async |log: &TableLog| {
        let expired = expired(context, table, log.state(), &listed, now).await?;
        let before = announced_instant(context, now);
        let is_needed = expired.iter().any(|file| file.is_orphan)
            && log.state().vacuumed_before().is_none_or(|known| known < before);
        if is_dry_run || !is_needed {
            return Ok::<_, LakeError>(CommitDecision::Nothing(expired));
        }
        let commit = Commit::new(log.lake(), OPERATION).announce_vacuum(before);
        Ok(CommitDecision::Commit(commit, expired))
    });
    let expired = announced.await?.value;
    if !expired.is_empty() {
        let bytes = expired.iter().map(|file| file.size).sum();
        if !is_dry_run {
            delete(&context.lake, table, &expired).await?;
        }
        report.deleted(table, expired.len(), bytes);
    }
    Ok(())
}

/// A file that may go.
struct Expired {
    location: Path,
    size: u64,
    /// Whether no log names it.
    is_orphan: bool,
}

/// The files among `listed` that may go by `state`.
async fn expired(
    context: &Context,
    table: Table,
    state: &TableState,
    listed: &[ObjectMeta],
    now: Timestamp,
) -> Result<Vec<Expired>, LakeError> {
    // What was removed after the state's version is active in the state.
    let removed = tombstones(&context.lake, table).await?;
    let ages = Ages {
        removed: millis(context.settings.lake.deleted_file_retention),
        orphan: millis(context.settings.maintain.orphan_retention),
    };
    let now = now.micros().div_euclid(1000);
    let expired = listed.iter().filter_map(|file| {
        let facts = facts(file, state, &removed);
        may_go(facts, ages, now).then(|| Expired {
            location: file.location.clone(),
            size: file.size,
            is_orphan: facts.removed_at.is_none(),
        })
    });
    Ok(expired.collect())
}

/// The instant that is announced at `now`: files that writers began to upload before it may be gone.
fn announced_instant(context: &Context, now: Timestamp) -> Timestamp {
    let half = context.settings.maintain.orphan_retention / 2;
    now.saturating_add(-i64::try_from(half.as_micros()).unwrap_or(i64::MAX))
}

fn facts(file: &ObjectMeta, state: &TableState, removed: &HashMap<String, i64>) -> Facts {
    let path = file.location.as_ref();
    Facts {
        is_active: state.file(path).is_some(),
        removed_at: removed.get(path).copied(),
        modified_at: file.last_modified.timestamp_millis(),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Every Parquet file in the table's folder that is not part of its log.
async fn data_files(lake: &Lake, table: Table) -> Result<Vec<ObjectMeta>, LakeError> {
    let is_data = |file: &ObjectMeta| {
        let path = file.location.as_ref();
        !path.starts_with('_') && path.ends_with(".parquet")
    };
    let listed: Vec<ObjectMeta> = lake
        .table_store(table)
        .list(None)
        .try_collect()
        .await
        .map_err(|source| storage(format!("list the files of table {table}"), source))?;
    Ok(listed.into_iter().filter(is_data).collect())
}

/// The files that commits removed, with when they did, as far back as the log goes.
async fn tombstones(lake: &Lake, table: Table) -> Result<HashMap<String, i64>, LakeError> {
    let delta = housekeeping::delta_table(lake, table).await?;
    let failed = |source| LakeError::Delta {
        action: format!("read the removed files of table {table}"),
        source: Box::new(source),
    };
    let log_store = delta.log_store();
    let found = delta.snapshot().map_err(failed)?.all_tombstones(&*log_store);
    let tombstone = |removed: deltalake::kernel::TombstoneView| {
        (removed.path().into_owned(), removed.deletion_timestamp().unwrap_or(0))
    };
    found.map_ok(tombstone).try_collect().await.map_err(failed)
}

async fn delete(lake: &Lake, table: Table, files: &[Expired]) -> Result<(), LakeError> {
    let paths: Vec<object_store::Result<Path>> =
        files.iter().map(|file| Ok(file.location.clone())).collect();
    let mut deleted = lake.table_store(table).delete_stream(futures::stream::iter(paths).boxed());
    while let Some(result) = deleted.next().await {
        match result {
            // Another run may have been quicker.
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(storage(format!("delete files of table {table}"), source)),
        }
    }
    Ok(())
}

fn storage(action: String, source: object_store::Error) -> LakeError {
    LakeError::Storage { action, source }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    const AGES: Ages = Ages { removed: 10, orphan: 100 };

    fn goes(is_active: bool, removed_at: Option<i64>, modified_at: i64) -> bool {
        may_go(Facts { is_active, removed_at, modified_at }, AGES, 1000)
    }

    #[test]
    fn active_files_stay_however_old_they_are() {
        assert!(!goes(true, None, 0));
        assert!(!goes(true, Some(0), 0));
    }

    #[test]
    fn removed_files_go_by_when_they_were_removed() {
        assert!(!goes(false, Some(990), 0));
        assert!(goes(false, Some(989), 995));
    }

    #[test]
    fn files_that_no_log_names_go_by_their_age() {
        assert!(!goes(false, None, 900));
        assert!(goes(false, None, 899));
    }
}
