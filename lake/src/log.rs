//! A table's Delta log: followed entry by entry, and committed to by compare and swap.
//!
//! [`TableLog`] keeps the table's state at one version: its files and its transactions. [`TableLog::refresh`]
//! reads entries until there are no more, without listing. [`TableLog::try_commit`] puts the next entry if it
//! is absent, so that a commit is made on exactly the version that its decision was made on.
//!
//! # Consistency
//! The store creates an object at most once (`PutMode::Create`). Whoever creates entry `v` has seen every
//! entry below `v`; everybody else is told [`CommitOutcome::Conflict`] with the state brought up to date, and
//! decides again.
//!
//! # Crash consistency
//! Data files are whole in the store before an entry names them. After an error that leaves open whether the
//! entry was created, the log itself tells: an entry is ours if it carries our commit id. Trying the same
//! entry again is safe, since it can be created once only.
//!
//! # Old state
//! A state that was last refreshed longer ago than half of the log's retention may lack entries that were
//! cleaned away since, and would take the hole for the log's end. Such a state is loaded anew before use.

mod checkpoint;
mod entry;
mod state;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use lake_model::EventTime;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use serde_json::Value;
use tokio::time::sleep;

use self::entry::Entry;
pub use self::entry::{Commit, commit_info_of};
pub use self::state::{FileEntry, TableState};
use crate::error::LakeError;
use crate::storage::Lake;
use crate::tables::Table;

/// Tries at opening a log while another process cleans it.
const OPEN_TRIES: u32 = 5;
/// The wait before the first retry of a commit; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What became of a commit.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The entry of that version is ours.
    Committed {
        /// The version.
        version: i64,
    },
    /// Another writer took the version. The state holds what it wrote: decide again.
    Conflict,
}

/// A table's log, followed up to a version.
#[derive(Debug)]
pub struct TableLog {
    lake: Lake,
    table: Table,
    store: Arc<dyn ObjectStore>,
    state: TableState,
    refreshed_at: EventTime,
}

impl TableLog {
    /// Opens the log of `table` at its newest version.
    pub async fn open(lake: &Lake, table: Table) -> Result<TableLog, LakeError> {
        let no_table = || LakeError::NoTable { table, uri: lake.uri().to_owned() };
        TableLog::open_if_exists(lake, table).await?.ok_or_else(no_table)
    }

    /// Opens the log of `table`, or says that there is none.
    pub async fn open_if_exists(lake: &Lake, table: Table) -> Result<Option<TableLog>, LakeError> {
        let store = lake.table_store(table);
        let refreshed_at = lake.ambient().now();
        let Some(state) = load(&*store, table).await? else { return Ok(None) };
        let mut log = TableLog { lake: lake.clone(), table, store, state, refreshed_at };
        log.refresh().await?;
        Ok(Some(log))
    }

    /// Opens the log of `table`, which is created with `properties` if it does not exist.
    pub async fn open_or_create(
        lake: &Lake,
        table: Table,
        properties: &[(String, String)],
    ) -> Result<TableLog, LakeError> {
        if let Some(log) = TableLog::open_if_exists(lake, table).await? {
            return Ok(log);
        }
        let mut log = TableLog {
            lake: lake.clone(),
            table,
            store: lake.table_store(table),
            state: TableState::empty(),
            refreshed_at: lake.ambient().now(),
        };
        let creation = entry::creation(lake, table, properties);
        match log.try_commit(&creation).await? {
            CommitOutcome::Committed { .. } | CommitOutcome::Conflict => Ok(log),
        }
    }

    /// The table.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The lake that the table is in.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The table's state at the version followed to.
    pub fn state(&self) -> &TableState {
        &self.state
    }

    /// Follows the log to its newest version; returns whether there was news.
    pub async fn refresh(&mut self) -> Result<bool, LakeError> {
        let before = self.state.version();
        let now = self.lake.ambient().now();
        let half_retention = i64::try_from(self.lake.options().log_retention.as_micros() / 2);
        if now.saturating_since(self.refreshed_at) > half_retention.unwrap_or(i64::MAX) {
            let missing = LakeError::NoTable { table: self.table, uri: self.lake.uri().to_owned() };
            self.state = load(&*self.store, self.table).await?.ok_or(missing)?;
        }
        while let Some(bytes) = read_entry(&*self.store, self.state.version() + 1).await? {
            self.fold(&bytes)?;
        }
        self.refreshed_at = now;
        Ok(self.state.version() != before)
    }

    /// Tries to commit on exactly the version followed to, retrying failures of the store for as long as
    /// the lake's settings say.
    pub async fn try_commit(&mut self, commit: &Commit) -> Result<CommitOutcome, LakeError> {
        let mut waited = Duration::ZERO;
        let mut wait = FIRST_WAIT;
        loop {
            match self.attempt(commit).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Err(error) if !error.is_transient() || waited >= self.retry_timeout() => {
                    return Err(error);
                }
                Ok(None) if waited >= self.retry_timeout() => return Ok(CommitOutcome::Conflict),
                Ok(None) | Err(_) => {}
            }
            metrics::counter!("lambdalake_commit_retries_total", "table" => self.table.as_str())
                .increment(1);
            sleep(wait).await;
            waited += wait;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// The `commitInfo` of entry `version`; `None` if the entry is cleaned away or not there yet.
    pub async fn commit_info(&self, version: i64) -> Result<Option<Value>, LakeError> {
        let bytes = read_entry(&*self.store, version).await?;
        Ok(bytes.and_then(|bytes| commit_info_of(&bytes)))
    }

    fn retry_timeout(&self) -> Duration {
        self.lake.options().retry_timeout
    }

    /// One attempt. `None` where the store refused the entry without there being one, as S3 may for
    /// conditional requests that cross.
    async fn attempt(&mut self, commit: &Commit) -> Result<Option<CommitOutcome>, LakeError> {
        let now = self.lake.ambient().now();
        let version = self.state.version() + 1;
        let bytes = Bytes::from(commit.encode(now));
        let (path, payload) = (entry_path(version), PutPayload::from(bytes.clone()));
        match self.store.put_opts(&path, payload, PutMode::Create.into()).await {
            Ok(_) => {
                self.fold(&bytes)?;
                self.refreshed_at = now;
                Ok(Some(CommitOutcome::Committed { version }))
            }
            Err(error) => self.after_refusal(version, commit, error).await,
        }
    }

    /// Finds out from the log whether entry `version` is ours, another's, or absent.
    async fn after_refusal(
        &mut self,
        version: i64,
        commit: &Commit,
        error: object_store::Error,
    ) -> Result<Option<CommitOutcome>, LakeError> {
        let found = read_entry(&*self.store, version).await?;
        let is_ours = found.as_ref().is_some_and(|bytes| commit.is_named_by(bytes));
        self.refresh().await?;
        match found {
            Some(_) if is_ours => Ok(Some(CommitOutcome::Committed { version })),
            Some(_) => Ok(Some(CommitOutcome::Conflict)),
            None if is_refusal(&error) => Ok(None),
            None => Err(LakeError::Storage {
                action: format!("commit version {version} of table {}", self.table),
                source: error,
            }),
        }
    }

    fn fold(&mut self, bytes: &[u8]) -> Result<(), LakeError> {
        let version = self.state.version() + 1;
        let problem = |problem| LakeError::Log { table: self.table, version, problem };
        let entry = Entry::parse(bytes).map_err(problem)?;
        self.state.fold(version, entry).map_err(problem)
    }
}

fn is_refusal(error: &object_store::Error) -> bool {
    use object_store::Error::{AlreadyExists, Precondition};
    matches!(error, AlreadyExists { .. } | Precondition { .. })
}

fn entry_path(version: i64) -> Path {
    Path::from(format!("_delta_log/{version:020}.json"))
}

async fn read_entry(store: &dyn ObjectStore, version: i64) -> Result<Option<Bytes>, LakeError> {
    let action = || format!("read log entry {version}");
    match store.get(&entry_path(version)).await {
        Ok(found) => found.bytes().await.map(Some).map_err(LakeError::storage(action())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(LakeError::storage(action())(error)),
    }
}

/// Loads the state from the newest checkpoint and the entries after it. Another process may clean the log
/// meanwhile; then the next try finds its newer checkpoint.
async fn load(store: &dyn ObjectStore, table: Table) -> Result<Option<TableState>, LakeError> {
    let mut tries = 1;
    loop {
        let names: Vec<String> = store
            .list(Some(&Path::from("_delta_log")))
            .map_ok(|meta| meta.location.filename().unwrap_or_default().to_owned())
            .try_collect()
            .await
            .map_err(LakeError::storage(format!("list the log of table {table}")))?;
        let contents = checkpoint::LogContents::of(names.iter().map(String::as_str));
        if contents.is_empty() {
            return Ok(None);
        }
        match load_contents(store, table, &contents).await {
            Err(error) if tries < OPEN_TRIES => {
                tracing::debug!(%table, %error, "the log changed while it was opened");
                tries += 1;
            }
            result => return result.map(Some),
        }
    }
}

async fn load_contents(
    store: &dyn ObjectStore,
    table: Table,
    contents: &checkpoint::LogContents,
) -> Result<TableState, LakeError> {
    let mut state = TableState::empty();
    if let Some(found) = &contents.checkpoint {
        let problem = |problem| LakeError::Log { table, version: found.version, problem };
        let entry = checkpoint::read(store, found).await.map_err(problem)?;
        state.fold(found.version, entry).map_err(problem)?;
    }
    for version in state.version() + 1..=contents.newest {
        let problem = |problem| LakeError::Log { table, version, problem };
        let missing = || problem("the entry is missing".to_owned());
        let bytes = read_entry(store, version).await?.ok_or_else(missing)?;
        state.fold(version, Entry::parse(&bytes).map_err(problem)?).map_err(problem)?;
    }
    Ok(state)
}
