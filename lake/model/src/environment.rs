//! What a process draws from its environment, time and randomness, as traits: passed in, so that tests and the
//! simulation can replace them.

use std::fmt;

use uuid::Uuid;

use crate::time::Timestamp;

/// A source of the present instant.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// A source of unique ids.
pub trait IdSource: fmt::Debug + Send + Sync {
    /// An id that nothing else has.
    fn unique_id(&self) -> Uuid;
}
