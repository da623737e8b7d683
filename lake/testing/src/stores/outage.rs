//! A store that can be switched off, so that every request fails, or stopped, so that no read ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::{ObjectStore, Result};

use super::{Intercept, Intercepted, Request, out_of_reach};

/// Whether a store is out of reach; at first it is not.
#[derive(Debug, Default)]
pub struct Outage {
    is_out: AtomicBool,
    stalls: AtomicBool,
}

impl Outage {
    /// The store `behind`, which can be switched off.
    pub fn on(behind: Arc<dyn ObjectStore>) -> Arc<Intercepted<Outage>> {
        Intercepted::new(behind, Outage::default())
    }

    /// From now on every request fails.
    pub fn begin(&self) {
        self.is_out.store(true, Ordering::SeqCst);
    }

    /// From now on requests reach the store again.
    pub fn end(&self) {
        self.is_out.store(false, Ordering::SeqCst);
    }

    /// From now on reads never end.
    pub fn stall(&self) {
        self.stalls.store(true, Ordering::SeqCst);
    }
}

impl Intercept for Outage {
    fn admit(&self) -> Result<()> {
        if self.is_out.load(Ordering::SeqCst) { Err(out_of_reach()) } else { Ok(()) }
    }

    async fn around<T: Send>(
        &self,
        request: Request<'_>,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if matches!(request, Request::Get { .. }) && self.stalls.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        operation.await
    }
}
