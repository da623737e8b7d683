//! A store that a process dies at: its n-th operation never returns, with or without its effect.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Notify;

/// When the process dies.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    /// At this operation, counted from 1.
    pub at: u64,
    /// Whether the operation still takes effect.
    pub after_effect: bool,
}

#[derive(Debug)]
pub struct CrashingStore {
    inner: Arc<dyn ObjectStore>,
    crash: Crash,
    operations: AtomicU64,
    pub crashed: Notify,
}

impl CrashingStore {
    pub fn new(inner: Arc<dyn ObjectStore>, crash: Crash) -> Arc<CrashingStore> {
        let operations = AtomicU64::new(0);
        Arc::new(CrashingStore { inner, crash, operations, crashed: Notify::new() })
    }

    async fn run<T>(&self, operation: impl Future<Output = T>) -> T {
        let number = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
        if number < self.crash.at {
            return operation.await;
        }
        if number == self.crash.at && self.crash.after_effect {
            operation.await;
        }
        self.crashed.notify_one();
        std::future::pending().await
    }
}

impl fmt::Display for CrashingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CrashingStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for CrashingStore {
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
