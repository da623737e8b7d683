//! A table's Delta log: followed entry by entry, and committed to by compare and swap.
//!
//! [`TableLog`] keeps the table's state at one version: its files and its transactions. [`TableLog::refresh`]
//! reads entries until there are no more, without listing. [`TableLog::try_commit`] puts the next entry if it
//! is absent, so that a commit is made on exactly the version that its decision was made on. [`commit_with`] is the
//! loop around it that every writer uses.
//! `docs/commit-protocol.md` has the interleavings.
//!
//! # Consistency
//! The store creates an object at most once (`PutMode::Create`). Whoever creates entry `v` has seen every
//! entry below `v`; everybody else gets [`CommitOutcome::Conflict`] with the state brought up to date, and
//! decides again.
//!
//! # Crash consistency
//! Data files are whole in the store before an entry names them. After an error that leaves open whether the
//! entry was created, the log itself decides: an entry is ours if it carries our commit id. Trying the same
//! version again is safe, since it can be created once only; no other version is tried for a decision.
//!
//! # Old state
//! A state that was last refreshed longer ago than half of the log's retention may lack entries that were
//! cleaned away since, and would mistake the hole for the log's end. Such a state is loaded anew before use, and
//! so is one whose own last entry is gone. A put that took that long proves nothing by its success.

mod backoff;
mod checkpoint;
mod commit_loop;
mod committing;
mod entry;
mod file_entry;
mod footer;
mod load;
mod metadata;
pub(crate) mod properties;
mod state;
mod vacuum;

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use lake_model::{TableVersion, Timestamp};
use object_store::ObjectStore;
use serde_json::Value;

pub use self::commit_loop::{CommitDecision, Committed, commit_with};
pub use self::committing::CommitOutcome;
use self::entry::Entry;
pub use self::entry::{Commit, commit_info_of};
pub use self::file_entry::FileEntry;
pub use self::state::TableState;
use crate::error::LakeError;
use crate::log_problem::LogProblem;
use crate::spec::TableSpec;
use crate::storage::Lake;

/// Tries at reading a log to its end before its state is old again.
const REFRESH_TRIES: u32 = 3;

/// A table's log, followed up to a version.
#[derive(Debug)]
pub struct TableLog {
    lake: Lake,
    table: &'static TableSpec,
    store: Arc<dyn ObjectStore>,
    state: TableState,
    /// No entry that was there at this instant is missing from the state.
    refreshed_at: Timestamp,
    /// How often the state was loaded anew instead of being continued.
    loads: u64,
}

impl TableLog {
    /// Opens the log of `table` at its newest version.
    pub async fn open(
        lake: &Lake,
        table: impl Into<&'static TableSpec>,
    ) -> Result<TableLog, LakeError> {
        let table = table.into();
        let no_table = || LakeError::NoTable { table: table.name, uri: lake.uri().to_owned() };
        TableLog::open_if_exists(lake, table).await?.ok_or_else(no_table)
    }

    /// Opens the log of `table`, or says that there is none.
    pub async fn open_if_exists(
        lake: &Lake,
        table: impl Into<&'static TableSpec>,
    ) -> Result<Option<TableLog>, LakeError> {
        let table = table.into();
        let mut log = TableLog::before_creation(lake, table);
        let Some(state) = load::newest_state(&log.store, table).await? else { return Ok(None) };
        log.state = state;
        log.follow().await?;
        log.complete().await?;
        Ok(Some(log))
    }

    /// Opens the log of `table`, which is created with `properties` if it does not exist.
    pub async fn open_or_create(
        lake: &Lake,
        table: impl Into<&'static TableSpec>,
        properties: &[(String, String)],
    ) -> Result<TableLog, LakeError> {
        let table = table.into();
        if let Some(log) = TableLog::open_if_exists(lake, table).await? {
            return Ok(log);
        }
        let mut log = TableLog::before_creation(lake, table);
        let creation = entry::creation(lake, table, properties);
        match log.try_commit(&creation).await? {
            CommitOutcome::Committed { .. } | CommitOutcome::Conflict => Ok(log),
        }
    }

    fn before_creation(lake: &Lake, table: &'static TableSpec) -> TableLog {
        TableLog {
            lake: lake.clone(),
            table,
            store: lake.table_store(table),
            state: TableState::empty(),
            refreshed_at: lake.now(),
            loads: 0,
        }
    }

    /// The table.
    pub fn table(&self) -> &'static TableSpec {
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
        let mut is_sound = !self.is_old();
        for _ in 0..REFRESH_TRIES {
            let begun = self.lake.now();
            if is_sound {
                is_sound = self.follow().await? || self.has_own_entry().await?;
            } else {
                self.load().await?;
                self.follow().await?;
                is_sound = true;
            }
            if is_sound {
                self.complete().await?;
                self.refreshed_at = begun;
                is_sound = !self.is_old();
            }
            if is_sound {
                return Ok(self.state.version() != before);
            }
        }
        Err(self.problem(LogProblem::TooSlow { retention: self.retention() }))
    }

    /// The `commitInfo` of entry `version`; `None` if the entry is cleaned away or not there yet.
    pub async fn commit_info(&self, version: TableVersion) -> Result<Option<Value>, LakeError> {
        let bytes = load::read_entry(&*self.store, version).await?;
        Ok(bytes.and_then(|bytes| commit_info_of(&bytes)))
    }

    /// Reads entries until there are no more; returns whether there were any. The further behind the state
    /// is, the more entries are read at once.
    async fn follow(&mut self) -> Result<bool, LakeError> {
        let before = self.state.version();
        let mut width = 1;
        loop {
            let next = self.state.version().next().0;
            let versions = (next..next + i64::from(width)).map(TableVersion);
            let reads = versions.map(|version| load::read_entry(&*self.store, version));
            for bytes in try_join_all(reads).await? {
                let Some(bytes) = bytes else { return Ok(self.state.version() != before) };
                self.fold(&bytes)?;
            }
            width = (width * 2).min(load::READ_AHEAD);
        }
    }

    fn fold(&mut self, bytes: &[u8]) -> Result<(), LakeError> {
        let version = self.state.version().next();
        let problem = |problem| LakeError::Log { table: self.table.name, version, problem };
        let entry = Entry::parse(bytes).map_err(problem)?;
        self.state.fold(version, entry).map_err(problem)
    }

    /// Reads what the log leaves out of the active files. Nothing may be decided on the state before.
    pub(super) async fn complete(&mut self) -> Result<(), LakeError> {
        if self.state.is_complete() {
            return Ok(());
        }
        footer::complete(&self.store, self.table, &mut self.state).await
    }

    async fn load(&mut self) -> Result<(), LakeError> {
        match load::newest_state(&self.store, self.table).await? {
            Some(state) => {
                self.state = state;
                self.loads += 1;
            }
            None if self.state.version() < TableVersion::FIRST => {}
            None => {
                let uri = self.lake.uri().to_owned();
                return Err(LakeError::NoTable { table: self.table.name, uri });
            }
        }
        Ok(())
    }

    /// Whether the entry of the state's own version is there, without which the log's end can't be told from
    /// a hole, nor from another table's log at the same place.
    async fn has_own_entry(&self) -> Result<bool, LakeError> {
        let version = self.state.version();
        Ok(version < TableVersion::FIRST || load::has_entry(&*self.store, version).await?)
    }

    /// Whether entries after the state's version may have been cleaned away. A clock that was set back that
    /// far is no witness.
    fn is_old(&self) -> bool {
        let age_us = self.lake.now().saturating_since(self.refreshed_at);
        u128::from(age_us.unsigned_abs()) > self.retention().as_micros() / 2
    }

    /// How long entries stay at least. Whoever cleans keeps them for as long as the longer of the two says.
    fn retention(&self) -> Duration {
        let of_table = properties::log_retention(self.state.properties());
        let of_settings = self.lake.options().log_retention;
        of_table.unwrap_or(of_settings).min(of_settings)
    }

    fn problem(&self, problem: LogProblem) -> LakeError {
        LakeError::Log { table: self.table.name, version: self.state.version(), problem }
    }
}
