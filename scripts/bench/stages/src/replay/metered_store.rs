//! A store that charges its requests to stages: data files to uploading, entries of logs to committing.
//!
//! The stages follow each other on one thread, so that the request under way is the only thing that happens. What follows
//! the creation of a log entry is part of the commit, until the next stage begins.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::costs::{SharedMeter, Stage};

/// A store whose requests are charged to `meter`.
#[derive(Debug)]
pub(super) struct MeteredStore {
    inner: Arc<dyn ObjectStore>,
    meter: SharedMeter,
}

impl MeteredStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, meter: SharedMeter) -> MeteredStore {
        MeteredStore { inner, meter }
    }
}

impl fmt::Display for MeteredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeteredStore({})", self.inner)
    }
}

fn is_of_log(location: &Path) -> bool {
    location.as_ref().contains("_delta_log/")
}

#[async_trait]
impl ObjectStore for MeteredStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        if is_of_log(location) {
            self.meter.enter(Stage::Commit);
            return self.inner.put_opts(location, payload, opts).await;
        }
        let before = self.meter.enter(Stage::Upload);
        let result = self.inner.put_opts(location, payload, opts).await;
        self.meter.resume(before);
        result
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let before = self.meter.enter(Stage::Upload);
        let result = self.inner.put_multipart_opts(location, opts).await;
        self.meter.resume(before);
        result
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
