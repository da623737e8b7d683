//! The times that are added to requests, by kind.

use std::time::Duration;

use crate::kind::Kind;

/// A time for each kind of request. The default is what Amazon S3 takes within its region.
#[derive(Clone, Debug)]
pub struct Delays([Duration; Kind::ALL.len()]);

impl Default for Delays {
    fn default() -> Delays {
        Delays(Kind::ALL.map(|kind| match kind {
            Kind::Get | Kind::Head => Duration::from_millis(30),
            Kind::Put | Kind::Post | Kind::Delete => Duration::from_millis(60),
            Kind::List => Duration::from_millis(100),
            Kind::Other => Duration::ZERO,
        }))
    }
}

impl Delays {
    /// Sets the time of a kind.
    pub fn set(&mut self, kind: Kind, delay: Duration) {
        self.0[kind as usize] = delay;
    }

    /// The time of a kind.
    pub fn of(&self, kind: Kind) -> Duration {
        self.0[kind as usize]
    }
}
