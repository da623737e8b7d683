//! What must hold of any input, asserted: of records in [`decode`], of configurations in [`configuration`], of requests in
//! [`http`].
//!
//! Each module has a function that takes the bytes of an input and panics if something does not hold. The fuzz targets in
//! the folder above call it with inputs that libFuzzer makes up; the tests of this crate call it with the inputs that have
//! been found worth keeping, so that any compiler replays them.

pub mod configuration;
pub mod decode;
pub mod http;
