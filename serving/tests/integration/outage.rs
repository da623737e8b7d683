//! A store in memory that can be switched off, so that every request fails, or stopped, so that no read ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// The store; clones switch together.
#[derive(Clone, Debug, Default)]
pub struct Outage {
    inner: Arc<InMemory>,
    is_out: Arc<AtomicBool>,
    stalls: Arc<AtomicBool>,
}

impl Outage {
    pub fn begin(&self) {
        self.is_out.store(true, Ordering::SeqCst);
    }

    pub fn end(&self) {
        self.is_out.store(false, Ordering::SeqCst);
    }

    /// From now on reads never end.
    pub fn stall(&self) {
        self.stalls.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        let failed =
            || Error::Generic { store: "outage", source: "the store is out of reach".into() };
        if self.is_out.load(Ordering::SeqCst) { Err(failed()) } else { Ok(()) }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outage")
    }
}

#[async_trait]
impl ObjectStore for Outage {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.check()?;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        if self.stalls.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check()?;
        self.inner.copy_opts(from, to, options).await
    }
}
