//! Changing the properties of a table that is there already.
//!
//! # Consistency
//! What the properties are to be is decided on exactly the version that is committed on. The new metadata are those of
//! that version with other properties.

use serde_json::json;

use super::commit_loop::{CommitDecision, commit_with};
use super::entry::Metadata;
use super::properties::{COLUMNS_WITH_BOUNDS, columns_with_bounds};
use super::{Commit, TableLog, TableState};
use crate::error::LakeError;

/// Properties, and transactions, with the values that they are to have.
pub type Changes = (Vec<(String, String)>, Vec<(String, i64)>);

impl TableLog {
    /// Gives the table those of `properties` that it lacks, and the names of the columns that files have bounds of: a
    /// table of an earlier release lacks some. Without those names, readers may skip files by columns that have no
    /// bounds, and miss their rows. A property that is there stays as it is.
    ///
    /// # Errors
    /// The log can't be read or committed to.
    pub async fn complete_properties(
        &mut self,
        properties: &[(String, String)],
    ) -> Result<(), LakeError> {
        let bounds = (COLUMNS_WITH_BOUNDS.to_owned(), columns_with_bounds(self.table()));
        let wanted: Vec<(String, String)> = properties.iter().cloned().chain([bounds]).collect();
        self.change_properties(|state| {
            let missing = wanted.iter().filter(|(name, _)| state.property(name).is_none());
            missing.cloned().collect()
        })
        .await
    }

    /// Gives properties the values that `decide` wants at the newest version. The others stay as they are.
    ///
    /// # Errors
    /// The log can't be read or committed to.
    pub async fn change_properties(
        &mut self,
        mut decide: impl FnMut(&TableState) -> Vec<(String, String)>,
    ) -> Result<(), LakeError> {
        let decide = |state: &TableState| (decide(state), Vec::new());
        self.change_properties_and_txns("SET TBLPROPERTIES", decide).await.map(|_| ())
    }

    /// Gives properties and transactions the values that `decide` wants at the newest version, in one commit of that
    /// operation; the others stay as they are. Returns whether anything changed. Transactions alone change nothing.
    ///
    /// # Errors
    /// The log can't be read or committed to.
    pub async fn change_properties_and_txns(
        &mut self,
        operation: &'static str,
        mut decide: impl FnMut(&TableState) -> Changes,
    ) -> Result<bool, LakeError> {
        let changed = commit_with(self, async |log: &TableLog| {
            let (properties, txns) = decide(log.state());
            if properties.is_empty() {
                return Ok::<_, LakeError>(CommitDecision::Nothing(()));
            }
            let Metadata { mut configuration, rest: mut metadata } = log.state().metadata().clone();
            configuration.extend(properties);
            metadata.insert("configuration".to_owned(), json!(configuration));
            let commit = Commit::new(log.lake(), operation).txns(txns);
            Ok(CommitDecision::Commit(commit.metadata(&metadata.into()), ()))
        });
        Ok(changed.await?.version.is_some())
    }
}
