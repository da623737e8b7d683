//! The request to stop, which programs look for between steps and wait for beside long ones: async code with
//! [`Shutdown::requested`], threads that block with [`Shutdown::wait_at_most`].

use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;

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

    /// This request, or the end of `limit`, which counts from now, whichever comes first.
    #[must_use]
    pub fn or_after(self, limit: Duration) -> Shutdown {
        let end = Instant::now().checked_add(limit);
        Shutdown::on(async move {
            match end {
                Some(end) => {
                    let _ = tokio::time::timeout_at(end, self.0).await;
                }
                None => self.0.await,
            }
        })
    }

    /// Whether the request has come.
    pub fn is_requested(&self) -> bool {
        self.0.clone().now_or_never().is_some()
    }

    /// Waits for the request.
    pub async fn requested(&self) {
        self.0.clone().await;
    }

    /// Blocks the thread until the request comes, for at most `time`; returns whether it has come. For threads that
    /// may block: async code waits with [`Shutdown::requested`].
    pub fn wait_at_most(&self, time: Duration) -> bool {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut request = self.0.clone();
        let started = Instant::now();
        loop {
            if request.poll_unpin(&mut context).is_ready() {
                return true;
            }
            let left = time.saturating_sub(started.elapsed());
            if left.is_zero() {
                return false;
            }
            std::thread::park_timeout(left);
        }
    }
}

impl std::fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shutdown")
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
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

    #[tokio::test(start_paused = true)]
    async fn a_time_limit_is_a_request_that_comes_at_its_end() {
        let limit = Duration::from_secs(60);
        let shutdown = Shutdown::never().or_after(limit);
        tokio::time::advance(limit - Duration::from_millis(1)).await;
        assert!(!shutdown.is_requested());
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(shutdown.is_requested());
        assert!(Shutdown::on(std::future::ready(())).or_after(Duration::MAX).is_requested());
        assert!(!Shutdown::never().or_after(Duration::MAX).is_requested());
    }

    #[test]
    fn a_thread_that_waits_is_woken_by_the_request_and_goes_on_without_one() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let shutdown = Shutdown::on(async move { drop(receiver.await) });
        assert!(!shutdown.wait_at_most(Duration::from_millis(1)));
        let own = shutdown.clone();
        let waiting = std::thread::spawn(move || own.wait_at_most(Duration::MAX));
        drop(sender);
        assert!(waiting.join().expect("it does not panic"));
        assert!(shutdown.wait_at_most(Duration::ZERO));
    }
}
