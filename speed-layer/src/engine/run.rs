//! A run from its start to its end, which comes in bounded time once it is asked for.

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::sleep;

use super::{Engine, EngineError};
use crate::partition::Partition;
use crate::source::Source;

/// The wait between tries at the last commits.
const LAST_WAIT: Duration = Duration::from_secs(1);

impl<S: Source> Engine<S> {
    /// Takes records until `shutdown` completes or the ends are reached, commits all that is held, and
    /// leaves the group. After `shutdown` this takes `speed.shutdown_timeout` at most, and what the source
    /// needs to close.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), EngineError> {
        let limit = self.pace.shutdown_timeout;
        let shutdown = shutdown.shared();
        let told = shutdown.clone();
        let too_late = async move {
            told.await;
            sleep(limit).await;
        };
        let finished = tokio::select! {
            biased;
            result = self.work_until(shutdown) => Some(result),
            () = too_late => None,
        };
        self.source.close().await;
        match finished {
            Some(result) => result,
            None if self.partitions.values().any(Partition::is_ahead) => {
                Err(EngineError::OutOfTime(limit))
            }
            None => Ok(()),
        }
    }

    async fn work_until(
        &mut self,
        shutdown: impl Future<Output = ()> + Clone,
    ) -> Result<(), EngineError> {
        self.turn_until(shutdown.clone()).await?;
        let has_a_limit = shutdown.now_or_never().is_some();
        loop {
            match self.commit_all().await {
                Err(EngineError::Lake(error)) if has_a_limit && error.is_transient() => {
                    tracing::warn!(%error, "not committed; trying again while there is time");
                    sleep(LAST_WAIT).await;
                }
                result => return result,
            }
        }
    }
}
