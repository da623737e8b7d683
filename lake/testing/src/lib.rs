//! What the tests of several crates share. A dependency of tests and of tools for measuring only, never of a program.
//!
//! [`memory`] makes lakes in memory; [`clock`] has clocks that stand still until they are set, and ids that count up;
//! [`stores`] has stores that fail, or are watched; [`provisional`] makes the rows that a speed layer would.

pub mod clock;
pub mod memory;
pub mod provisional;
pub mod stores;

pub use clock::{CountedIds, ManualClock};
pub use memory::{default_options, lake_in_memory, lake_on};
pub use provisional::{Observation, provisional_rows};
