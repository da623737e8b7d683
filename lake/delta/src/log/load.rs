//! Reading a log from the store: its entries one by one, and its newest state from a checkpoint and the
//! entries after it.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use lake_model::TableVersion;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::checkpoint::{self, LogContents};
use super::entry::Entry;
use super::state::TableState;
use crate::error::LakeError;
use crate::log_problem::LogProblem;
use crate::spec::TableSpec;

/// Tries at loading a log while another process cleans it.
const TRIES: u32 = 5;
/// Entries that are read at once.
pub(super) const READ_AHEAD: u8 = 16;

/// The path of the entry of `version`.
pub(super) fn entry_path(version: TableVersion) -> Path {
    Path::from(format!("_delta_log/{version:020}.json"))
}

/// The entry of `version`, if there is one.
pub(super) async fn read_entry(
    store: &dyn ObjectStore,
    version: TableVersion,
) -> Result<Option<Bytes>, LakeError> {
    let failed = || LakeError::storage(format!("read log entry {version}"));
    match store.get(&entry_path(version)).await {
        Ok(found) => found.bytes().await.map(Some).map_err(failed()),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed()(error)),
    }
}

/// Whether there is an entry of `version`.
pub(super) async fn has_entry(
    store: &dyn ObjectStore,
    version: TableVersion,
) -> Result<bool, LakeError> {
    match store.head(&entry_path(version)).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(LakeError::storage(format!("look for log entry {version}"))(error)),
    }
}

/// The state at the newest version that a listing shows; `None` if there is no log. Another process may
/// clean the log meanwhile; then the next try finds its newer checkpoint.
pub(super) async fn newest_state(
    store: &Arc<dyn ObjectStore>,
    table: &'static TableSpec,
) -> Result<Option<TableState>, LakeError> {
    let mut tries = 1;
    loop {
        let contents = match list(&**store, table).await {
            Err(error) if error.is_lasting() => return Err(error),
            // Whether the store refuses a right can't be seen in a failed listing; in other requests it can.
            Err(error) => return Err(denial(&**store).await.unwrap_or(error)),
            Ok(contents) => contents,
        };
        if contents.is_empty() {
            return Ok(None);
        }
        match state_of(store, table, &contents).await {
            Err(error @ LakeError::Log { .. }) if tries < TRIES => {
                tracing::debug!(%table, %error, "the log changed while it was loaded");
                tries += 1;
            }
            result => return result.map(Some),
        }
    }
}

/// The error of a store that refuses the credentials.
async fn denial(store: &dyn ObjectStore) -> Option<LakeError> {
    has_entry(store, TableVersion::FIRST).await.err().filter(LakeError::is_lasting)
}

async fn list(
    store: &dyn ObjectStore,
    table: &'static TableSpec,
) -> Result<LogContents, LakeError> {
    let names: Vec<String> = store
        .list(Some(&Path::from("_delta_log")))
        .map_ok(|meta| meta.location.filename().unwrap_or_default().to_owned())
        .try_collect()
        .await
        .map_err(LakeError::storage(format!("list the log of table {table}")))?;
    Ok(LogContents::of(names.iter().map(String::as_str)))
}

async fn state_of(
    store: &Arc<dyn ObjectStore>,
    table: &'static TableSpec,
    contents: &LogContents,
) -> Result<TableState, LakeError> {
    let mut state = TableState::empty();
    if let Some(found) = &contents.checkpoint {
        let problem =
            |problem| LakeError::Log { table: table.name, version: found.version, problem };
        let entry = checkpoint::read(&**store, table, found).await?;
        state.fold(found.version, entry).map_err(problem)?;
    }
    let read = |version| {
        let store = Arc::clone(store);
        async move { Ok::<_, LakeError>((version, read_entry(&*store, version).await?)) }
    };
    let versions = stream::iter(state.version().next().0..=contents.newest.0).map(TableVersion);
    let mut entries = versions.map(read).buffered(READ_AHEAD.into());
    while let Some((version, bytes)) = entries.try_next().await? {
        let problem = |problem| LakeError::Log { table: table.name, version, problem };
        let bytes = bytes.ok_or_else(|| problem(LogProblem::MissingEntry))?;
        state.fold(version, Entry::parse(&bytes).map_err(problem)?).map_err(problem)?;
    }
    Ok(state)
}
