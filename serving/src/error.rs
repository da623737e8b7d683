//! Why the program ends before it is asked to, and what that means for its exit code.

use std::io;
use std::net::SocketAddr;

use lake_delta::LakeError;
use lake_model::exit_code::EXTERNAL_FAILURE;

/// A server that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// The address can't be listened on.
    #[error(
        "serving.listen = \"{address}\": {source}; stop the program that has the address, or name another one of \
         this machine (port 0 means a free one)"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's own error.
        source: io::Error,
    },
    /// The lake can't be opened as configured, or belongs to another pipeline.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The system refused what every server needs.
    #[error("{action}: {source}")]
    System {
        /// What was being done.
        action: &'static str,
        /// The system's own error.
        source: io::Error,
    },
}

impl ServingError {
    /// The exit code: 2 for a configuration to correct, 3 for an external failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            ServingError::Lake(error) => error.exit_code(),
            ServingError::Listen { .. } | ServingError::System { .. } => EXTERNAL_FAILURE,
        }
    }
}
