//! Waits between tries, each twice as long as the one before, up to a longest one. Nothing in them is random, so that
//! a simulation with one seed waits alike every time; whoever won the race goes on while the others wait.

use std::time::Duration;

use tokio::time::sleep;

/// The wait that comes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { next: first, longest }
    }

    /// How long the next wait is.
    pub(super) fn next(&self) -> Duration {
        self.next
    }

    /// Waits, on tokio's clock.
    pub(super) async fn wait(&mut self) {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        sleep(wait).await;
    }
}
