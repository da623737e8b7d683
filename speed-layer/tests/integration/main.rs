//! The speed layer on a log of its own making: what the tables hold after crashes, rebalances and rivals.
#![allow(clippy::unwrap_used, missing_docs)]

mod crashing_store;
mod exactly_once;
mod log_source;
mod oracle;
mod rivals;
mod support;
