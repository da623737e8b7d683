//! How the engine paces itself.

use std::time::Duration;

use lake_config::Speed;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Intervals and bounds, as the settings have them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) commit_interval: Duration,
    pub(super) landing_interval: Duration,
    pub(super) position_interval: Duration,
    pub(super) shutdown_timeout: Duration,
    pub(super) landing_bytes: usize,
}

impl Pace {
    pub(super) fn new(speed: &Speed) -> Pace {
        Pace {
            commit_interval: speed.commit_interval,
            landing_interval: speed.landing_interval,
            position_interval: speed.position_interval,
            shutdown_timeout: speed.shutdown_timeout,
            landing_bytes: usize::try_from(speed.landing_bytes).unwrap_or(usize::MAX),
        }
    }
}

/// Ticks at every `period`; where one is late, the next ones are, too.
pub(super) fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
