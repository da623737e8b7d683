//! The speed layer on a log of its own making: what the tables hold after crashes, rebalances and rivals.
#![allow(clippy::unwrap_used, missing_docs)]

mod ends;
mod exactly_once;
mod kafka;
mod log_source;
mod oracle;
mod other_tools;
mod resets;
mod rivals;
mod stale_bounds;
mod stopping;
mod support;
mod topic_check;
mod zone_rules;
