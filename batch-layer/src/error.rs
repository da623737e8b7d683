//! What can go wrong in the batch layer, and the exit code that shows whose fault it is.

use lake_delta::LakeError;
use lake_kafka::ClientError;
use lake_model::Day;
use lake_model::exit_code::{EXTERNAL_FAILURE, USAGE_ERROR};

/// A command that could not be carried out. What a check found is no error but part of its report.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The tables could not be read or committed to.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Kafka did not answer how far its partitions reach; trying later may help.
    #[error(transparent)]
    Kafka(#[from] ClientError),
    /// The settings do not fit the tables.
    #[error("{0}")]
    Configuration(String),
    /// Polars could not recompute a day.
    #[error("recompute {day} with Polars: {source}")]
    Polars {
        /// The day.
        day: Day,
        /// The library's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BatchError {
    /// The exit code that docs/contract.md has for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            BatchError::Configuration(_) => USAGE_ERROR,
            BatchError::Lake(error) => error.exit_code(),
            BatchError::Kafka(error) => error.exit_code(),
            BatchError::Polars { .. } => EXTERNAL_FAILURE,
        }
    }
}
