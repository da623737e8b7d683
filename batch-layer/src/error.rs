//! What can go wrong in the batch layer, and the exit code that says whose fault it is.

use lake::LakeError;
use lake::startup::{OUTSIDE_FAULT, USAGE_ERROR};
use lake_model::Day;
use polars::error::PolarsError;

use crate::kafka_ends::KafkaEndsError;

/// A command that could not be carried out. What a check found is no error but part of its report.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The tables could not be read or committed to.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Kafka did not say how far its partitions reach; trying later may help.
    #[error(transparent)]
    Kafka(#[from] KafkaEndsError),
    /// The settings do not fit the tables.
    #[error("{0}")]
    Configuration(String),
    /// Polars could not recompute a day.
    #[error("recompute {day} with Polars: {source}")]
    Polars {
        /// The day.
        day: Day,
        /// The library's own error.
        source: Box<PolarsError>,
    },
}

impl BatchError {
    /// The exit code that docs/contract.md has for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            BatchError::Configuration(_) => USAGE_ERROR,
            BatchError::Lake(error) => error.exit_code(),
            BatchError::Kafka(_) | BatchError::Polars { .. } => OUTSIDE_FAULT,
        }
    }
}
