//! What can be wrong with a log. Apart from [`crate::log`], since every error of the crate can name one.

use std::error::Error;
use std::str::Utf8Error;
use std::time::Duration;

use crate::protocol::{READER_VERSION, WRITER_VERSION};

/// Why a log can't be read or followed.
#[derive(Debug, thiserror::Error)]
pub enum LogProblem {
    /// An entry without an action. A local disk may keep the name of a file and not its contents when power fails.
    #[error("the entry is empty")]
    EmptyEntry,
    /// An entry before the newest one that is not there.
    #[error("the entry is missing")]
    MissingEntry,
    /// A line that is no action.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A path that is no URI of UTF-8 text.
    #[error("path {uri}: {error}")]
    Path {
        /// The path as the log spells it.
        uri: String,
        /// What is wrong with it.
        error: Utf8Error,
    },
    /// Statistics of a file that are no JSON of the kind that Delta prescribes.
    #[error("statistics of file {path}: {error}")]
    Statistics {
        /// The file.
        path: String,
        /// What is wrong with them.
        error: serde_json::Error,
    },
    /// A partition value of another type than our tables have.
    #[error("partition value {0:?} is no date")]
    PartitionValue(String),
    /// A protocol with rules that this program does not know.
    #[error(
        "the table asks for reader version {reader} and writer version {writer}, and {READER_VERSION} and \
         {WRITER_VERSION} are supported; another program has upgraded it: restore the table to the \
         version before, and keep that program from upgrading it again"
    )]
    Protocol {
        /// The reader version that the table asks for.
        reader: i32,
        /// The writer version that the table asks for.
        writer: i32,
    },
    /// A part of a checkpoint that is not there.
    #[error("checkpoint {part} is missing")]
    MissingPart {
        /// The name of the part.
        part: String,
    },
    /// A part of a checkpoint that is no Parquet file of the kind that Delta prescribes.
    #[error("checkpoint {part}: {error}")]
    Checkpoint {
        /// The name of the part.
        part: String,
        /// What is wrong with it.
        error: Box<dyn Error + Send + Sync>,
    },
    /// Entries are deleted about as fast as they are read.
    #[error(
        "reading the log to its end takes longer than half of its retention, {retention:?}; raise lake.log_retention"
    )]
    TooSlow {
        /// How long entries stay.
        retention: Duration,
    },
}
