//! Changing the metadata of a table that is there already.
//!
//! # Consistency
//! The new metadata are the old ones and a property more. They are read by the deltalake library, which may be further
//! than the log is followed to. Then the version that the commit is tried on is taken, and the decision is made again.

use serde_json::{Map, Value, json};

use super::commit_loop::{CommitDecision, commit_with};
use super::properties::{COLUMNS_WITH_BOUNDS, columns_with_bounds};
use super::{Commit, TableLog};
use crate::error::LakeError;
use crate::housekeeping;

impl TableLog {
    /// Names the columns that files have bounds of in the table's properties, unless those name some: a table of an
    /// earlier release does not. Readers may skip files by columns without bounds otherwise, and miss their rows.
    ///
    /// # Errors
    /// The log can't be read or committed to.
    pub async fn name_columns_with_bounds(&mut self) -> Result<(), LakeError> {
        let columns = columns_with_bounds(self.table());
        let named = commit_with(self, async |log: &TableLog| {
            if log.state().property(COLUMNS_WITH_BOUNDS).is_some() {
                return Ok::<_, LakeError>(CommitDecision::Nothing(()));
            }
            let mut metadata = log.metadata().await?;
            let configuration = metadata.entry("configuration").or_insert_with(|| json!({}));
            configuration[COLUMNS_WITH_BOUNDS] = json!(columns);
            let commit = Commit::new(log.lake(), "SET TBLPROPERTIES");
            Ok(CommitDecision::Commit(commit.metadata(&Value::Object(metadata)), ()))
        });
        named.await.map(|_| ())
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
