//! The request to stop, which commands look for between steps and wait for beside long ones.

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

/// A request to stop that may come at any time, once.
#[derive(Clone)]
pub struct Shutdown(Shared<BoxFuture<'static, ()>>);

impl Shutdown {
    /// The request that comes when `signal` ends.
    pub fn on(signal: impl Future<Output = ()> + Send + 'static) -> Shutdown {
        Shutdown(signal.boxed().shared())
    }

    /// A request that never comes.
    pub fn never() -> Shutdown {
        Shutdown::on(std::future::pending())
    }

    /// Whether the request has come.
    pub fn is_requested(&self) -> bool {
        self.0.clone().now_or_never().is_some()
    }

    /// Waits for the request.
    pub async fn requested(&self) {
        self.0.clone().await;
    }
}

impl std::fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shutdown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_seen_from_the_moment_it_comes() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let shutdown = Shutdown::on(async move { drop(receiver.await) });
        assert!(!shutdown.is_requested());
        drop(sender);
        assert!(shutdown.is_requested());
        shutdown.requested().await;
        assert!(!Shutdown::never().is_requested());
    }
}
