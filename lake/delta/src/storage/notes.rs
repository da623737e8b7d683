//! Notes: small objects beside a table's data that no reader of the table looks at, because their path begins with `_`.
//! The latest one under a path counts; there is no history.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::Lake;
use crate::error::LakeError;
use crate::spec::TableSpec;

impl Lake {
    /// Writes the note `path` of a table, over the one that is there.
    ///
    /// # Errors
    /// The store fails.
    pub async fn write_note(
        &self,
        table: &'static TableSpec,
        path: &str,
        content: Vec<u8>,
    ) -> Result<(), LakeError> {
        let store = self.table_store(table);
        let written = store.put(&Path::from(path), PutPayload::from(content)).await;
        written.map(|_| ()).map_err(LakeError::storage(format!("write {}/{path}", table.name)))
    }

    /// The note `path` of a table, if there is one.
    ///
    /// # Errors
    /// The store fails.
    pub async fn read_note(
        &self,
        table: &'static TableSpec,
        path: &str,
    ) -> Result<Option<Vec<u8>>, LakeError> {
        let store = self.table_store(table);
        let action = format!("read {}/{path}", table.name);
        let found = match store.get(&Path::from(path)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(LakeError::storage(action.clone()))?,
        };
        let content = found.bytes().await.map_err(LakeError::storage(action))?;
        Ok(Some(content.to_vec()))
    }
}
