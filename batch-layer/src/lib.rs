//! The batch layer: makes closed days final from every event, and proves, checks and maintains the tables.
//!
//! Five commands share a few parts. [`nightly`] recomputes days and overwrites them in `avg_speed`; [`audit`]
//! proves from the tables alone that every offset and every event is accounted for; [`verify`] recomputes one
//! day in a way of its own; [`maintain`] compacts, drops and deletes files; [`quarantine`]
//! takes a file out that can't be used.
//!
//! Underneath, `days` knows what the tables hold of each day, `batch_runs` keeps the record of runs,
//! `day_events` reads the distinct events of a day in bounded memory, `faults` tells damaged data from an external failure, and `window_totals` reads count and sum of windows
//! from `avg_speed`. Everything outside comes in through a [`Context`], a [`lake_kafka::LogEnds`], which asks Kafka
//! how far its partitions reach, and a [`Shutdown`].

pub mod as_of;
pub mod audit;
mod batch_runs;
mod cameras;
mod context;
mod day_events;
mod days;
mod error;
mod faults;
mod final_figures;
pub mod maintain;
mod metrics;
pub mod nightly;
mod offset_set;
mod parallel;
mod progress;
pub mod quarantine;
pub mod reproduce;
mod scan;
#[cfg(test)]
mod test_support;
#[cfg(feature = "verify")]
pub mod verify;
mod window_totals;

pub use context::Context;
pub use error::BatchError;
pub use faults::{FileFault, LoggedOffsets};
pub use lake_runtime::Shutdown;
