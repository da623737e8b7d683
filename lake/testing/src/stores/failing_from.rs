//! A store that fails from some operation on: the process dies at it, with or without its effect, or the store is
//! out of reach from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use tokio::sync::Notify;

use super::{Intercept, Intercepted, out_of_reach};

/// What becomes of the operations that don't succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// None returns.
    Hang,
    /// The first one takes effect, and none returns.
    HangAfterEffect,
    /// The store can't be reached.
    Error,
}

/// Counts reads and writes, and fails from a number on. Listings and deletions succeed and are not counted.
#[derive(Debug)]
pub struct FailingFrom {
    failure: Failure,
    /// The first operation that fails, counted from 1.
    at: AtomicU64,
    operations: AtomicU64,
    struck: Notify,
}

impl FailingFrom {
    /// The store `behind`, which fails in that way from operation `at` on, counted from 1.
    pub fn on(
        behind: Arc<dyn ObjectStore>,
        failure: Failure,
        at: u64,
    ) -> Arc<Intercepted<FailingFrom>> {
        let (at, operations) = (AtomicU64::new(at), AtomicU64::new(0));
        Intercepted::new(behind, FailingFrom { failure, at, operations, struck: Notify::new() })
    }

    /// Lets so many operations more succeed, and no other.
    pub fn fail_after(&self, operations: u64) {
        let done = self.operations.load(Ordering::Relaxed);
        self.at.store(done + operations + 1, Ordering::Relaxed);
    }

    /// Waits until an operation fails.
    pub async fn struck(&self) {
        self.struck.notified().await;
    }

    async fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
        let at = self.at.load(Ordering::Relaxed);
        if number < at {
            return operation.await;
        }
        if number == at && self.failure == Failure::HangAfterEffect {
            let _ = operation.await;
        }
        self.struck.notify_one();
        match self.failure {
            Failure::Error => Err(out_of_reach()),
            Failure::Hang | Failure::HangAfterEffect => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Intercept for FailingFrom {
    async fn put(
        &self,
        behind: &dyn ObjectStore,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.run(behind.put_opts(location, payload, options)).await
    }

    async fn put_multipart(
        &self,
        behind: &dyn ObjectStore,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.run(behind.put_multipart_opts(location, options)).await
    }

    async fn get(
        &self,
        behind: &dyn ObjectStore,
        location: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        self.run(behind.get_opts(location, options)).await
    }
}
