//! Delta tables on an object store: their logs followed and committed to by compare and swap, their data files
//! written and read. Knows no table by name: a [`TableSpec`] says all that it needs of one.
//!
//! [`storage`] opens a [`Lake`], the folder of tables; [`data_file`] turns rows into Parquet files with statistics;
//! [`log`] follows a table's Delta log and commits to it ([`commit_with`] is the loop of every writer);
//! [`housekeeping`] keeps logs short; [`read`] streams the rows of files and [`columns`] gives them types.

pub mod columns;
pub mod data_file;
pub mod error;
pub mod housekeeping;
pub mod log;
mod log_problem;
mod metrics;
mod protocol;
pub mod read;
mod schema_json;
mod spec;
pub mod storage;

pub use data_file::DataFile;
pub use error::LakeError;
pub use log::{
    Commit, CommitDecision, CommitOutcome, Committed, TableLog, TableState, commit_with,
};
pub use log_problem::LogProblem;
pub use metrics::describe as describe_metrics;
pub use spec::{FileUse, TableSpec};
pub use storage::Lake;
