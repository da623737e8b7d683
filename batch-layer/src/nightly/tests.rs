//! Rules 4 to 7 of docs/contract.md on a lake in memory: which days are made final, from what, and what happens when runs
//! are killed or race.

#![allow(clippy::unwrap_used)]

mod faults;
mod figures;
mod finalization;
mod oracle;
mod races;
mod topic;
mod work;
mod zone_rules;
