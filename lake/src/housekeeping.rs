//! Keeping logs short: checkpoints and the deletion of log entries that they make unnecessary.
//!
//! Both are done by the deltalake library, off the path that commits take. A checkpoint that a crash left
//! out is made up for the next time the log is looked after, since what counts is how many entries there are
//! beyond the newest one.

use deltalake::DeltaTable;
use deltalake::logstore::{StorageConfig, default_logstore};
use deltalake::protocol::checkpoints;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use std::sync::Arc;

use crate::error::LakeError;
use crate::storage::Lake;
use crate::tables::Table;

/// Checkpoints the log of `table`, which is at `version`, if the newest checkpoint is old enough, and
/// deletes expired entries. Returns whether a checkpoint was made.
pub async fn tidy_log(lake: &Lake, table: Table, version: i64) -> Result<bool, LakeError> {
    let newest = newest_checkpoint(&*lake.table_store(table)).await?;
    let interval = i64::try_from(lake.options().checkpoint_interval).unwrap_or(i64::MAX);
    if version - newest.unwrap_or(-1) < interval {
        return Ok(false);
    }
    checkpoint(lake, table).await?;
    Ok(true)
}

/// Checkpoints the log of `table` at its newest version and deletes expired entries.
pub async fn checkpoint(lake: &Lake, table: Table) -> Result<(), LakeError> {
    let failed = |action: &str| {
        let action = format!("{action} of table {table}");
        move |source| LakeError::Delta { action, source: Box::new(source) }
    };
    let delta = delta_table(lake, table).await?;
    checkpoints::create_checkpoint(&delta, None).await.map_err(failed("checkpoint the log"))?;
    checkpoints::cleanup_metadata(&delta, None).await.map_err(failed("clean the log"))?;
    Ok(())
}

/// The table as the deltalake library has it, loaded at its newest version.
pub async fn delta_table(lake: &Lake, table: Table) -> Result<DeltaTable, LakeError> {
    let store = lake.table_store(table);
    let url = lake.table_url(table);
    let log_store = default_logstore(Arc::clone(&store), store, &url, &StorageConfig::default());
    let mut delta = DeltaTable::new(log_store);
    delta.load().await.map_err(|source| LakeError::Delta {
        action: format!("load table {table}"),
        source: Box::new(source),
    })?;
    Ok(delta)
}

async fn newest_checkpoint(store: &dyn ObjectStore) -> Result<Option<i64>, LakeError> {
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
            Ok(last.map(|last| last.version))
        }
    }
}
