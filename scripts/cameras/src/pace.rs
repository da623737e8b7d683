//! The pace: how long to wait before the next record, so that a rate is kept, and the clock it is held by.

use std::time::{Duration, Instant};

/// Behind by more than this, a run goes on from where it is instead of catching up in one burst.
const MOST_BEHIND: Duration = Duration::from_secs(1);

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "the simulator runs in real time")]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Keeps a rate of records per second.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    /// When the next record is due, since the start of the run.
    due: Duration,
}

impl Pace {
    /// A pace of `rate` records per second, which is greater than 0.
    pub fn new(rate: f64) -> Pace {
        Pace { interval: Duration::from_secs_f64(1.0 / rate), due: Duration::ZERO }
    }

    /// How long to wait before the next record, `elapsed` after the start of the run.
    pub fn next(&mut self, elapsed: Duration) -> Duration {
        let due = self.due.max(elapsed.saturating_sub(MOST_BEHIND));
        self.due = due + self.interval;
        due.saturating_sub(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn records_are_due_one_interval_apart() {
        let mut pace = Pace::new(100.0);
        assert_eq!(pace.next(ms(0)), ms(0));
        assert_eq!(pace.next(ms(0)), ms(10));
        assert_eq!(pace.next(ms(15)), ms(5));
        assert_eq!(pace.next(ms(50)), ms(0));
    }

    #[test]
    fn after_a_stall_at_most_a_second_is_caught_up() {
        let mut pace = Pace::new(10.0);
        let at_once = (0..1000).take_while(|_| pace.next(ms(60_000)) == ms(0)).count();
        assert_eq!(at_once, 11);
    }
}
