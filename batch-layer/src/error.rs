//! What can go wrong in the batch layer, and the exit code that says whose fault it is.

use lake::LakeError;
use lake_model::Day;
use polars::error::PolarsError;

use crate::kafka_ends::KafkaEndsError;

/// The exit code of a wrong usage or configuration.
const USAGE_ERROR: u8 = 2;
/// The exit code of a fault outside: the store, Kafka, damaged files.
const OUTSIDE_FAULT: u8 = 3;

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
    /// The exit code that the contract has for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            BatchError::Configuration(_)
            | BatchError::Lake(LakeError::Configuration(_) | LakeError::NoTable { .. }) => {
                USAGE_ERROR
            }
            BatchError::Lake(_) | BatchError::Kafka(_) | BatchError::Polars { .. } => OUTSIDE_FAULT,
        }
    }
}
