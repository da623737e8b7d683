//! The one loop of every writer: decide on a state, try to commit, and where another writer was faster, read what it
//! wrote and decide again.
//!
//! # Consistency
//! A decision is made on the log's state at one version, and its commit is tried on exactly that version
//! ([`TableLog::try_commit`]). When another writer takes the version, nothing of the decision is kept: after a wait the
//! log is followed to its end, and the decision is made anew. What a decision has cost (files that are uploaded, rows
//! that are compared) is its own to keep from one time to the next. Between the read and the commit lies nothing but
//! the decision itself, so a wait never makes the state older that it is made on.
//!
//! # Crash consistency
//! A writer that dies in the loop has committed or it has not: one entry holds all of its commit. Files that it
//! uploaded and nobody named are orphans, which maintenance deletes. After an error the commit may have been made;
//! whoever calls again decides on the log, which says so. A writer that is suspended for so long that its files may be
//! deleted as orphans reads the announcement of that, and its commit of them is refused (`vacuum`).

use std::time::Duration;

use super::backoff::Backoff;
use super::{Commit, CommitOutcome, TableLog};
use crate::error::LakeError;
use lake_model::TableVersion;

/// The wait after the first race that was lost; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How many races in a row a commit may lose. With every wait at its longest that is two minutes: writers that share a
/// table rightly never come near it.
const MOST_LOST_RACES: u32 = 60;

/// What a writer wants at the version that it was asked for, with the value that it reports if that is done.
#[must_use]
#[derive(Debug)]
pub enum CommitDecision<D> {
    /// Make this commit.
    Commit(Commit, D),
    /// Commit nothing.
    Nothing(D),
}

/// What became of the last decision: it holds at the version that the log stands at.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<D> {
    /// The version that was committed; `None` if there was nothing to commit.
    pub version: Option<TableVersion>,
    /// The value that the decision reported.
    pub value: D,
}

/// Commits to `log` what `decide` wants, on exactly the version that it decided on. `decide` is asked again each time
/// that another writer was faster; it may read whatever it needs to, the longer it reads the likelier it is overtaken.
///
/// # Errors
/// [`LakeError::Overtaken`] if others were faster too many times in a row; whatever `decide` fails with; and failures
/// of the store, after which the commit may or may not have been made: call again, and decide on the log.
pub async fn commit_with<D, E: From<LakeError>>(
    log: &mut TableLog,
    mut decide: impl AsyncFnMut(&TableLog) -> Result<CommitDecision<D>, E>,
) -> Result<Committed<D>, E> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    // An earlier call may have failed half-way through reading.
    log.complete().await?;
    for _ in 0..MOST_LOST_RACES {
        let (commit, value) = match decide(log).await? {
            CommitDecision::Nothing(value) => return Ok(Committed { version: None, value }),
            CommitDecision::Commit(commit, value) => (commit, value),
        };
        if let CommitOutcome::Committed { version } = log.try_commit(&commit).await? {
            return Ok(Committed { version: Some(version), value });
        }
        let table = log.table().name;
        metrics::counter!("lambdalake_commit_conflicts_total", "table" => table).increment(1);
        tracing::debug!(table, version = log.state().version().0, "another writer was faster");
        backoff.wait().await;
        log.refresh().await?;
    }
    Err(LakeError::Overtaken { table: log.table().name, tries: MOST_LOST_RACES }.into())
}
