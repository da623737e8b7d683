//! The serving layer through its router, over a lake in memory that the tests fill as speed layer and batch do.
//!
//! [`fixture`] is such a lake with a router on it, `outage` a store that can be switched off; the other modules
//! are the tests, by what they ask for.

#![allow(clippy::unwrap_used)]

mod averages;
mod cameras;
mod fixture;
mod following;
mod operations;
mod refusals;
mod server;
