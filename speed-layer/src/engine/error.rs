//! Why the engine stopped.

use std::time::Duration;

use lake_delta::LakeError;

use crate::recovery::RecoveryError;

/// Why the engine stopped.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The tables.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A partition can't be continued.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The source.
    #[error("{0}")]
    Source(String),
    /// The time for committing ran out after the request to stop.
    #[error(
        "stopped without committing everything: the store did not accept it within speed.shutdown_timeout = \
         {0:?}; nothing is lost, the next start reads it from Kafka again"
    )]
    OutOfTime(Duration),
}
