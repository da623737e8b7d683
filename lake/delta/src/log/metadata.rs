//! Changing the metadata of a table that is there already.
//!
//! # Consistency
//! The new metadata are the old ones and some properties more. They are read by the deltalake library, which may be further
//! than the log is followed to. Then the version that the commit is tried on is taken, and the decision is made again.

use serde_json::{Map, Value, json};

use super::commit_loop::{CommitDecision, commit_with};
use super::properties::{COLUMNS_WITH_BOUNDS, columns_with_bounds};
use super::{Commit, TableLog};
use crate::error::LakeError;
use crate::housekeeping;

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
        let wanted: Vec<&(String, String)> = properties.iter().chain([&bounds]).collect();
        let completed = commit_with(self, async |log: &TableLog| {
            let is_missing = |name: &str| log.state().property(name).is_none();
            let missing: Vec<_> = wanted.iter().filter(|(name, _)| is_missing(name)).collect();
            if missing.is_empty() {
                return Ok::<_, LakeError>(CommitDecision::Nothing(()));
            }
            let mut metadata = log.metadata().await?;
            let configuration = metadata.entry("configuration").or_insert_with(|| json!({}));
            for (name, value) in missing {
                configuration[name.as_str()] = json!(value);
            }
            let commit = Commit::new(log.lake(), "SET TBLPROPERTIES");
            Ok(CommitDecision::Commit(commit.metadata(&Value::Object(metadata)), ()))
        });
        completed.await.map(|_| ())
    }

    async fn metadata(&self) -> Result<Map<String, Value>, LakeError> {
        let failed = |source| LakeError::Delta {
            action: format!("read the metadata of table {}", self.table),
            source: Box::new(source),
        };
        let delta = housekeeping::delta_table(self.lake(), self.table()).await?;
        let metadata = delta.snapshot().map_err(failed)?.metadata();
        let json = serde_json::to_value(metadata).expect("metadata are texts, numbers and lists");
        let Value::Object(fields) = json else { return Ok(Map::new()) };
        Ok(fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
    }
}
