//! Time and randomness, handed in so that a simulation can replace them.

use std::fmt;

use lake_model::EventTime;
use uuid::Uuid;

/// What a process draws from its surroundings.
pub trait Ambient: fmt::Debug + Send + Sync {
    /// The present instant.
    fn now(&self) -> EventTime;

    /// An id that no one else has.
    fn unique_id(&self) -> Uuid;
}

/// The machine's clock and random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemAmbient;

impl Ambient for SystemAmbient {
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the clock comes in by")]
    fn now(&self) -> EventTime {
        let since_1970 =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        EventTime::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the edge that randomness comes in by")]
    fn unique_id(&self) -> Uuid {
        Uuid::new_v4()
    }
}
