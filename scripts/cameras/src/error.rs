//! Why a run fails, and what that means for its exit code.

use std::path::Path;
use std::time::Duration;

use lake_model::exit_code::{EXTERNAL_FAILURE, USAGE_ERROR};
use rdkafka::error::KafkaError;

/// A run that failed.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// Options that do not make a run.
    #[error("{0}")]
    Usage(String),
    /// Kafka did not do what it was asked to.
    #[error("{action} at brokers {brokers:?}: {cause}; {remedy}")]
    Kafka {
        /// What was tried.
        action: String,
        /// Where.
        brokers: String,
        /// What librdkafka says.
        cause: Box<KafkaError>,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The consumer group, which the embedded broker depends on, does not consume.
    #[error(
        "consumer group {group:?} has committed no new offset of topic {topic:?} for {}, and {outstanding} \
         records wait for it in the embedded broker. Start the speed layer on it \
         (LAKEHOUSE__KAFKA__BROKERS={brokers} LAKEHOUSE__KAFKA__GROUP={group} speed-layer run), or give \
         it more time with --consumer-wait",
        humantime::format_duration(*waited)
    )]
    NoConsumer {
        /// The group that was waited for.
        group: String,
        /// The topic.
        topic: String,
        /// The embedded broker's address.
        brokers: String,
        /// Records sent and not consumed.
        outstanding: usize,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A file or stream could not be written.
    #[error("write {what}: {cause}")]
    Write {
        /// The file, or what else was written to.
        what: String,
        /// What the system says.
        cause: std::io::Error,
    },
}

impl SimulatorError {
    /// The error of something that `action` names and Kafka refused.
    pub(crate) fn kafka(
        action: String,
        brokers: &str,
        cause: KafkaError,
        remedy: &'static str,
    ) -> SimulatorError {
        SimulatorError::Kafka {
            action,
            brokers: brokers.to_owned(),
            cause: Box::new(cause),
            remedy,
        }
    }

    /// The error of writing the file at `path` that --broker-file names.
    pub(crate) fn broker_file(path: &Path, cause: std::io::Error) -> SimulatorError {
        let what =
            format!("--broker-file {path:?}: name a file in a folder that can be written to");
        SimulatorError::Write { what, cause }
    }

    /// The exit code: 2 for usage, 3 for an external failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            SimulatorError::Usage(_) => USAGE_ERROR,
            _ => EXTERNAL_FAILURE,
        }
    }
}
