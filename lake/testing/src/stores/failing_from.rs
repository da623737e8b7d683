//! A store that fails from some operation on: the process dies at it, with or without its effect, or the store is
//! out of reach from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::{ObjectStore, Result};
use tokio::sync::Notify;

use super::{Intercept, Intercepted, Request, out_of_reach};

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
}

impl Intercept for FailingFrom {
    async fn around<T: Send>(
        &self,
        _request: Request<'_>,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
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
