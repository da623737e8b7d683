//! One commit on exactly one version: put the entry if it is absent, and find out whose it is after an answer that
//! leaves that open.

use std::time::Duration;

use bytes::Bytes;
use lake_model::{Outage, OutageReport, TableVersion};
use object_store::{PutMode, PutPayload};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::entry::{Commit, Entry};
use super::{TableLog, load};
use crate::error::LakeError;

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
        version: TableVersion,
    },
    /// Another writer created the version. The state holds what it wrote: decide again.
    Conflict,
}

impl TableLog {
    /// Tries to commit on exactly the version followed to, retrying failures of the store for as long as
    /// the lake's settings say. After an error the commit may or may not have been made: decide again on
    /// a refreshed state. A commit of a file that vacuum may have deleted is refused with [`LakeError::Vacuumed`].
    pub async fn try_commit(&mut self, commit: &Commit) -> Result<CommitOutcome, LakeError> {
        if let Some(file) = commit.adds().iter().find(|file| self.state.may_be_vacuumed(file)) {
            return Err(LakeError::Vacuumed { table: self.table.name, path: file.path.clone() });
        }
        let version = self.state.version().next();
        let give_up_at = Instant::now() + self.lake.options().retry_timeout;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let (loads, mut outage) = (self.loads, Outage::default());
        loop {
            match self.attempt(commit, version, loads).await {
                // A table that can't be created is a lake that nobody has written to: say so at once.
                Err(error) if version == TableVersion::FIRST && error.is_lasting() => {
                    return Err(error);
                }
                Err(error)
                    if error.is_transient() && Instant::now() + backoff.next() < give_up_at =>
                {
                    self.report_retry(version, &error, outage.failed(Instant::now().into_std()));
                }
                result => return result,
            }
            metrics::counter!("lambdalake_commit_retries_total", "table" => self.table.name)
                .increment(1);
            backoff.wait().await;
        }
    }

    fn report_retry(&self, version: TableVersion, error: &LakeError, due: Option<OutageReport>) {
        let Some(report) = due else { return };
        let (table, version, failing_for) = (self.table.name, version.0, report.lasting);
        tracing::warn!(table, version, %error, ?failing_for, "trying to commit again");
    }

    /// One attempt at creating entry `version`. That the entry is still absent is an error. `loads` is how
    /// often the state had been loaded when the decision was made.
    async fn attempt(
        &mut self,
        commit: &Commit,
        version: TableVersion,
        loads: u64,
    ) -> Result<CommitOutcome, LakeError> {
        if self.is_old() {
            self.refresh().await?;
        }
        self.complete().await?;
        if self.state.version().next() != version {
            return self.outcome(commit, version, loads).await;
        }
        let begun = self.lake.now();
        let bytes = Bytes::from(commit.encode(self.table, begun));
        let entry = Entry::parse(&bytes).map_err(|problem| self.problem(problem))?;
        let (path, payload) = (load::entry_path(version), PutPayload::from(bytes));
        let put = self.store.put_opts(&path, payload, PutMode::Create.into()).await;
        if put.is_ok() && !self.is_old() {
            self.state.fold(version, entry).map_err(|problem| self.problem(problem))?;
            self.refreshed_at = begun;
            return Ok(CommitOutcome::Committed { version });
        }
        self.refresh().await?;
        match put {
            Err(source) if self.state.version() < version => Err(LakeError::Storage {
                action: format!("commit version {version} of table {}", self.table),
                source,
            }),
            _ => self.outcome(commit, version, loads).await,
        }
    }

    /// Whose the entry of `version` is, now that the state is past the version decided on. The entry itself
    /// shows it if the state went through it. It may lie in a hole if the state was loaded anew, and then what
    /// counts is whether the state holds its files.
    async fn outcome(
        &self,
        commit: &Commit,
        version: TableVersion,
        loads: u64,
    ) -> Result<CommitOutcome, LakeError> {
        let is_ours = match load::read_entry(&*self.store, version).await? {
            Some(entry) if self.loads == loads => commit.is_named_by(&entry),
            _ => {
                let mut adds = commit.adds().iter();
                !commit.adds().is_empty() && adds.all(|file| self.state.file(&file.path).is_some())
            }
        };
        let committed = CommitOutcome::Committed { version };
        Ok(if is_ours { committed } else { CommitOutcome::Conflict })
    }
}
