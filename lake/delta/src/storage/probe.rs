//! A probe of the store before anything is created in it: whether it keeps the one promise that commits rest on.
//!
//! An object is created, created once more, read and deleted. A store that ignores `If-None-Match` lets the second creation
//! pass, and would let one instance overwrite the commits of another.
//!
//! # Crash consistency
//! A process that is killed meanwhile leaves an empty object whose name begins with [`PREFIX`], which `maintain` deletes.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::Lake;
use crate::error::LakeError;

/// What the names of probes begin with.
pub const PREFIX: &str = "_probe-";

impl Lake {
    /// Checks that objects can be created, read and deleted under `lake.uri`, and that one that is there is not created again.
    ///
    /// # Errors
    /// They can't; or the store breaks the promise, and no lake may be in it.
    pub async fn probe(&self) -> Result<(), LakeError> {
        let path = Path::from(format!("{PREFIX}{}", self.unique_id()));
        let probed = self.probe_at(&path).await;
        let deleted = self.store.delete(&path).await;
        probed?;
        deleted.map_err(LakeError::storage(self.probing("delete an object")))
    }

    async fn probe_at(&self, path: &Path) -> Result<(), LakeError> {
        let (first, second) = (Bytes::from_static(b"1"), Bytes::from_static(b"2"));
        self.create(path, first.clone())
            .await
            .map_err(LakeError::storage(self.probing("create an object")))?;
        let is_refused = match self.create(path, second).await {
            Err(object_store::Error::AlreadyExists { .. }) => true,
            Err(error) => return Err(LakeError::storage(self.probing("create it again"))(error)),
            Ok(()) => false,
        };
        let read = self.store.get(path).await;
        let reading = || LakeError::storage(self.probing("read an object"));
        let found = read.map_err(reading())?.bytes().await.map_err(reading())?;
        if is_refused && found == first {
            return Ok(());
        }
        Err(LakeError::Configuration(format!(
            "lake.uri = {:?}: the store creates an object that is there already: it ignores If-None-Match, and one \
             instance would overwrite the commits of another; set lake.uri and lake.storage.endpoint to a store with \
             conditional puts, such as Amazon S3 or MinIO, or update the store",
            self.uri()
        )))
    }

    async fn create(&self, path: &Path, content: Bytes) -> object_store::Result<()> {
        let payload = PutPayload::from(content);
        self.store.put_opts(path, payload, PutMode::Create.into()).await.map(|_| ())
    }

    fn probing(&self, what: &str) -> String {
        format!("lake.uri = {:?}: try out the store: {what}", self.uri())
    }
}
