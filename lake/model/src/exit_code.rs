//! The exit codes of every program, which schedulers and scripts act on.

/// A check failed, or something that was due had to be left.
pub const CHECK_FAILED: u8 = 1;
/// Wrong usage or configuration, which trying again does not cure.
pub const USAGE_ERROR: u8 = 2;
/// An external failure (the store, Kafka, the system); trying again may help.
pub const EXTERNAL_FAILURE: u8 = 3;
