//! The tables of lambdalake: where they are, what they look like, and how they are read and committed.
//!
//! [`settings`] say where the lake is, [`storage`] opens it, [`tables`] give each table its columns,
//! [`data_file`] turns rows into Parquet files with statistics, and [`log`] follows a table's Delta log and
//! commits to it by compare and swap. [`txn`] names the offsets that live beside the files, [`housekeeping`]
//! keeps logs short. [`startup`] and [`telemetry`] are what the programs have around their work. Speed layer,
//! batch and serving depend on this crate and never on each other.

pub mod ambient;
pub mod data_file;
pub mod error;
pub mod housekeeping;
pub mod log;
pub mod paths;
pub mod read;
pub mod settings;
pub mod startup;
pub mod storage;
pub mod tables;
pub mod telemetry;
pub mod txn;

pub use ambient::{Ambient, SystemAmbient};
pub use data_file::DataFile;
pub use error::LakeError;
pub use log::{Commit, CommitOutcome, TableLog, TableState};
pub use settings::Settings;
pub use storage::Lake;
pub use tables::Table;
