//! What vacuum announces in a table's log before it deletes files that no log names.
//!
//! Such a file may be one that its writer has yet to commit: the writer was suspended for longer than vacuum waits. To
//! look for the file before the commit is not enough, since the writer may be suspended again between the two. So vacuum
//! first commits an instant: files whose upload began before it may be gone. Removed files need no announcement, because a
//! commit has named them before, and none names them again.
//!
//! # Consistency
//! Vacuum deletes what no log names by the very version that its announcement was made on. A commit that was decided on
//! that version or an older one loses its race against the announcement, reads it, and is decided again; a commit that is
//! decided later finds the announcement in its state. [`TableLog::try_commit`](super::TableLog::try_commit) refuses to
//! name a file that may be gone, so that no writer can forget the rule; writers ask
//! [`TableState::may_be_vacuumed`] in their decisions, and do the work again.
//!
//! The instant is a transaction of the table, which checkpoints keep for ever: a writer whose state is older than the
//! log's oldest entry finds it too when it loads the state anew.

use lake_model::Timestamp;

use super::{Commit, TableState};
use crate::data_file::DataFile;

/// The app id of the instant, in microseconds since 1970.
const APP_ID: &str = "lambdalake:vacuum";

impl TableState {
    /// Files whose upload began before this instant may be gone, unless a commit has named them.
    pub fn vacuumed_before(&self) -> Option<Timestamp> {
        self.txn(APP_ID).map(Timestamp::from_micros)
    }

    /// Whether vacuum may have deleted `file`, which no commit has named yet.
    pub fn may_be_vacuumed(&self, file: &DataFile) -> bool {
        self.vacuumed_before().is_some_and(|before| file.upload_began_at < before)
    }
}

impl Commit {
    /// Announces that files whose upload began before `before`, and that no log names, are about to be deleted.
    #[must_use]
    pub fn announce_vacuum(self, before: Timestamp) -> Commit {
        self.txns([(APP_ID.to_owned(), before.micros())])
    }
}
