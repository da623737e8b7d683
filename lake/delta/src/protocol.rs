//! The version of the Delta protocol that this crate knows.

/// The reader version that tables are written in, and the highest that is read.
pub(crate) const READER_VERSION: i32 = 1;
/// The writer version that tables are written in, and the highest that is committed to.
pub(crate) const WRITER_VERSION: i32 = 2;
