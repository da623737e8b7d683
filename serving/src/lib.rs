//! The serving layer: the cameras' average speeds over HTTP, from the table `avg_speed`.
//!
//! [`Store`] follows the table's log and holds its rows in memory; [`router()`] turns requests into questions to
//! the store and its answers into JSON; [`Server`] ties both to a socket. [`run()`] is the whole program but for its
//! command line.
//!
//! Data flows one way: a commit of the speed layer or the batch becomes a new index of files, requests read the
//! files that the index names through a cache, and rows of one window from several Kafka partitions are merged
//! as they are read. Nothing is ever written to the lake.

mod cli;
mod error;
mod handlers;
mod metrics;
mod middleware;
mod openapi;
mod problem;
mod query;
mod response;
mod router;
mod server;
mod state;
mod store;

pub use cli::{Cli, Command};
pub use error::ServingError;
pub use router::router;
pub use server::{Server, run};
pub use state::App;
pub use store::Store;
