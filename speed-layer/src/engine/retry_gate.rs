//! Which failures the engine outlives, and when it tries again after one.

use std::time::Duration;

use lake_model::Outage;
use tokio::time::Instant;

use super::EngineError;

/// How long the engine listens to the source at most after a commit failed, before it tries the next. Trying takes long
/// while the store is away: without a pause something would always be due, and partitions assigned or revoked
/// would wait until it is back.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Holds commits back for a moment after one has failed.
#[derive(Debug)]
pub(super) struct RetryGate {
    pause: Duration,
    /// Before this instant no commit is tried.
    retry_at: Option<Instant>,
    outage: Outage,
}

impl RetryGate {
    /// An open gate. Pauses are no longer than the interval between commits.
    pub(super) fn new(commit_interval: Duration) -> RetryGate {
        RetryGate {
            pause: commit_interval.min(RETRY_PAUSE),
            retry_at: None,
            outage: Outage::default(),
        }
    }

    /// Whether a commit may be tried.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|retry_at| now >= retry_at)
    }

    /// Something was committed: an outage is over. That nothing had to be committed says nothing of it.
    pub(super) fn committed(&mut self, now: Instant) {
        if let Some(report) = self.outage.succeeded(now.into_std()) {
            tracing::info!(failed_for = ?report.lasting, failures = report.failures, "commits succeed again");
        }
    }

    /// The result of trying a commit while so much waits to land. A failure that may pass closes the gate; any other is
    /// returned.
    pub(super) fn tolerate(
        &mut self,
        result: Result<(), EngineError>,
        waiting_bytes: usize,
        now: Instant,
    ) -> Result<(), EngineError> {
        match result {
            Err(EngineError::Lake(error)) if error.is_transient() => {
                metrics::counter!("lambdalake_speed_commit_failures_total").increment(1);
                if let Some(report) = self.outage.failed(now.into_std()) {
                    let failing_for = report.lasting;
                    tracing::error!(%error, waiting_bytes, ?failing_for, "not committed; trying again");
                }
                self.retry_at = Some(now + self.pause);
                Ok(())
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lake_delta::LakeError;

    use super::*;

    fn store_is_away() -> Result<(), EngineError> {
        let source = object_store::Error::Generic { store: "test", source: "away".into() };
        Err(EngineError::Lake(LakeError::Storage { action: "write".to_owned(), source }))
    }

    #[test]
    fn after_a_failure_that_may_pass_nothing_is_tried_until_the_pause_is_over() {
        let (now, pause) = (Instant::now(), Duration::from_millis(200));
        let mut gate = RetryGate::new(pause);
        assert!(gate.is_open(now));
        gate.tolerate(store_is_away(), 7, now).unwrap();
        assert!(!gate.is_open(now) && !gate.is_open(now + pause / 2));
        assert!(gate.is_open(now + pause));
    }

    #[test]
    fn the_pause_is_no_longer_than_a_second_however_seldom_commits_are() {
        let now = Instant::now();
        let mut gate = RetryGate::new(Duration::from_secs(3600));
        gate.tolerate(store_is_away(), 7, now).unwrap();
        assert!(!gate.is_open(now + Duration::from_millis(999)));
        assert!(gate.is_open(now + Duration::from_secs(1)));
    }

    #[test]
    fn a_failure_that_stays_is_returned_and_a_success_leaves_the_gate_open() {
        let now = Instant::now();
        let mut gate = RetryGate::new(Duration::from_secs(1));
        gate.tolerate(Ok(()), 0, now).unwrap();
        let failed = Err(EngineError::Source("broken".to_owned()));
        assert!(matches!(gate.tolerate(failed, 0, now), Err(EngineError::Source(_))));
        assert!(gate.is_open(now));
    }
}
