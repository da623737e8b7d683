//! A store that fails from some operation on: the process dies at it, with or without its effect, or the store is
//! away.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Notify;

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never returns.
    Hang,
    /// The first one takes effect, and none returns.
    HangAfterEffect,
    /// The store can't be reached.
    Fail,
}

#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    fault: Fault,
    /// The first operation that fails, counted from 1.
    at: AtomicU64,
    operations: AtomicU64,
    /// Told when the first one does.
    pub struck: Notify,
}

impl FaultyStore {
    pub fn new(inner: Arc<dyn ObjectStore>, fault: Fault, at: u64) -> Arc<FaultyStore> {
        let (at, operations) = (AtomicU64::new(at), AtomicU64::new(0));
        Arc::new(FaultyStore { inner, fault, at, operations, struck: Notify::new() })
    }

    /// Lets so many operations more succeed, and no other.
    pub fn fail_after(&self, operations: u64) {
        let done = self.operations.load(Ordering::Relaxed);
        self.at.store(done + operations + 1, Ordering::Relaxed);
    }

    async fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
        let at = self.at.load(Ordering::Relaxed);
        if number < at {
            return operation.await;
        }
        if number == at && self.fault == Fault::HangAfterEffect {
            let _ = operation.await;
        }
        self.struck.notify_one();
        if self.fault == Fault::Fail {
            return Err(Error::Generic { store: "faulty", source: "the store is away".into() });
        }
        std::future::pending().await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, to: &Path, bytes: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.run(self.inner.put_opts(to, bytes, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.run(self.inner.put_multipart_opts(to, opts)).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.run(self.inner.get_opts(from, options)).await
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
