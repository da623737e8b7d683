//! Inputs through the assertions of the fuzz targets, with any compiler.
//!
//! [`replay`] hands them the [`inputs`] that are kept in `scripts/fuzz`, [`damage`] the same damaged at random, and
//! [`garbage`] the records of the crate of that name.

#![allow(clippy::unwrap_used)]

mod damage;
mod garbage;
mod inputs;
mod replay;
