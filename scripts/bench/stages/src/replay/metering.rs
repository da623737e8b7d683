//! Charges the requests of a store to stages: data files to uploading, entries of logs to committing.
//!
//! The stages follow each other on one thread, so that the request under way is the only thing that happens. What follows
//! the creation of a log entry is part of the commit, until the next stage begins.

use async_trait::async_trait;
use lake_testing::stores::Intercept;
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::costs::{SharedMeter, Stage};

/// The meter that requests are charged on.
#[derive(Debug)]
pub(super) struct Metering(pub(super) SharedMeter);

#[async_trait]
impl Intercept for Metering {
    async fn put(
        &self,
        behind: &dyn ObjectStore,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if location.as_ref().contains("_delta_log/") {
            self.0.enter(Stage::Commit);
            return behind.put_opts(location, payload, options).await;
        }
        let before = self.0.enter(Stage::Upload);
        let result = behind.put_opts(location, payload, options).await;
        self.0.resume(before);
        result
    }

    async fn put_multipart(
        &self,
        behind: &dyn ObjectStore,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let before = self.0.enter(Stage::Upload);
        let result = behind.put_multipart_opts(location, options).await;
        self.0.resume(before);
        result
    }
}
