//! Time and ids that a test decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use lake_model::{Clock, IdSource, Timestamp};
use uuid::Uuid;

/// A clock that stands still until it is set. Clones share its time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock at `now`.
    pub fn at(now: Timestamp) -> ManualClock {
        ManualClock(Arc::new(AtomicI64::new(now.micros())))
    }

    /// A clock of its own that much later.
    pub fn later(&self, by: Duration) -> ManualClock {
        let clock = ManualClock::at(self.now());
        clock.advance(by);
        clock
    }

    /// Sets the clock to `now`.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::SeqCst);
    }

    /// Sets the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Ids that count up from 1, spread over the whole range.
#[derive(Debug)]
pub struct CountedIds(AtomicU64);

impl Default for CountedIds {
    fn default() -> CountedIds {
        CountedIds(AtomicU64::new(1))
    }
}

impl IdSource for CountedIds {
    fn unique_id(&self) -> Uuid {
        let id = self.0.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u64_pair(id.wrapping_mul(0x9e37_79b9_7f4a_7c15), id)
    }
}
