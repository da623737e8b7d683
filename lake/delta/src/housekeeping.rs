//! Keeping logs short: checkpoints and the deletion of log entries that they make unnecessary.
//!
//! Both are done by the deltalake library, off the path of commits. A checkpoint that a crash left out is made
//! the next time, since what counts is how many entries there are beyond the newest one.

use std::sync::Arc;
use std::time::Duration;

use deltalake::logstore::{StorageConfig, default_logstore};
use deltalake::protocol::checkpoints;
use deltalake::{DeltaTable, DeltaTableError};
use lake_model::TableVersion;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use crate::error::LakeError;
use crate::log::properties;
use crate::spec::TableSpec;
use crate::storage::Lake;

/// How often cleaning begins anew because another process was quicker. Each time that one is further on.
const CLEANING_TRIES: u32 = 10;

/// Checkpoints the log of `table`, which is at `version`, if the newest checkpoint is old enough, and
/// deletes expired entries. Returns whether a checkpoint was made.
pub async fn checkpoint_if_due(
    lake: &Lake,
    table: impl Into<&'static TableSpec>,
    version: TableVersion,
) -> Result<bool, LakeError> {
    let table = table.into();
    let newest = newest_checkpoint(&*lake.table_store(table)).await?;
    let interval = i64::try_from(lake.options().checkpoint_interval).unwrap_or(i64::MAX);
    if version.0 - newest.unwrap_or(TableVersion::BEFORE_FIRST).0 < interval {
        return Ok(false);
    }
    checkpoint(lake, table).await?;
    Ok(true)
}

/// Checkpoints the log of `table` at its newest version and deletes expired entries. Others may do the same
/// at that time: an entry that is gone when it is to be read or deleted is one that had to go.
pub async fn checkpoint(
    lake: &Lake,
    table: impl Into<&'static TableSpec>,
) -> Result<(), LakeError> {
    let table = table.into();
    let mut tries = 1;
    loop {
        match try_checkpoint(lake, table).await {
            Err(error) if is_about_something_gone(&error) && tries < CLEANING_TRIES => {
                tracing::debug!(%table, %error, "another process cleans the log; trying again");
                tries += 1;
            }
            result => return result,
        }
    }
}

async fn try_checkpoint(lake: &Lake, table: &'static TableSpec) -> Result<(), LakeError> {
    let delta = delta_table(lake, table).await?;
    checkpoints::create_checkpoint(&delta, None).await.map_err(failed("checkpoint", table))?;
    delete_expired(lake, table, &delta).await.map_err(failed("clean", table))
}

/// The table as the deltalake library has it, loaded at its newest version.
pub async fn delta_table(
    lake: &Lake,
    table: impl Into<&'static TableSpec>,
) -> Result<DeltaTable, LakeError> {
    let table = table.into();
    let (store, root) = (lake.table_store(table), Arc::clone(lake.store()));
    let log = default_logstore(store, root, &lake.table_url(table), &StorageConfig::default());
    let mut delta = DeltaTable::new(log);
    delta.load().await.map_err(failed("load", table))?;
    Ok(delta)
}

/// Deletes entries that a checkpoint holds and that are older than the log's retention.
async fn delete_expired(
    lake: &Lake,
    table: &'static TableSpec,
    delta: &DeltaTable,
) -> deltalake::DeltaResult<()> {
    let snapshot = delta.snapshot()?;
    let of_table = properties::log_retention(snapshot.metadata().configuration());
    let retention = of_table.unwrap_or(Duration::ZERO).max(lake.options().log_retention);
    let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let now_ms = lake.now().micros().div_euclid(1000);
    let oldest_ms = now_ms.saturating_sub(retention_ms);
    let log = delta.log_store();
    let deleted =
        checkpoints::cleanup_expired_logs_for(snapshot.version(), &*log, oldest_ms, None).await?;
    tracing::debug!(%table, deleted, "deleted expired log entries");
    Ok(())
}

/// Whether an object that was listed was gone when it was asked for.
fn is_about_something_gone(error: &LakeError) -> bool {
    let LakeError::Delta { source, .. } = error else { return false };
    match &**source {
        DeltaTableError::ObjectStore { source: object_store::Error::NotFound { .. } } => true,
        // The library does not export this type: its text is all that there is.
        DeltaTableError::KernelError(error) => error.to_string().contains("File not found"),
        _ => false,
    }
}

fn failed(action: &str, table: &'static TableSpec) -> impl FnOnce(DeltaTableError) -> LakeError {
    let action = format!("{action} the log of table {table}");
    move |source| LakeError::Delta { action, source: Box::new(source) }
}

async fn newest_checkpoint(store: &dyn ObjectStore) -> Result<Option<TableVersion>, LakeError> {
    #[derive(Deserialize)]
    struct LastCheckpoint {
        version: i64,
    }
    let failed = || LakeError::storage("read _last_checkpoint");
    match store.get(&Path::from("_delta_log/_last_checkpoint")).await {
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed()(error)),
        Ok(found) => {
            let bytes = found.bytes().await.map_err(failed())?;
            let last: Option<LastCheckpoint> = serde_json::from_slice(&bytes).ok();
            Ok(last.map(|last| TableVersion(last.version)))
        }
    }
}
