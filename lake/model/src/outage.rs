//! A fault that lasts, as an operator should read of it: one message when it begins, one a minute while it lasts, and one
//! when it is over that says how long it was.

use std::time::{Duration, Instant};

/// The time between two messages about one outage.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Whether something that is tried again and again fails at present, and since when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outage {
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    since: Instant,
    failed_last: Instant,
    reported_at: Instant,
    failures: u64,
}

/// What a message about an outage says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutageReport {
    /// For how long it has lasted.
    pub lasting: Duration,
    /// How many tries have failed.
    pub failures: u64,
}

impl Outage {
    /// A try failed at `now`; what to report, if a message is due.
    pub fn failed(&mut self, now: Instant) -> Option<OutageReport> {
        let first = Current { since: now, failed_last: now, reported_at: now, failures: 0 };
        let is_first = self.current.is_none();
        let current = self.current.get_or_insert(first);
        current.failures += 1;
        current.failed_last = now;
        let is_due = is_first || now.duration_since(current.reported_at) >= REPORT_INTERVAL;
        is_due.then(|| {
            current.reported_at = now;
            OutageReport { lasting: now.duration_since(current.since), failures: current.failures }
        })
    }

    /// A try succeeded at `now`; what to report if that ends an outage.
    pub fn succeeded(&mut self, now: Instant) -> Option<OutageReport> {
        let Current { since, failures, .. } = self.current.take()?;
        Some(OutageReport { lasting: now.duration_since(since), failures })
    }

    /// As [`Outage::succeeded`], if nothing has failed for as long as `quiet` before `now`: where some tries succeed while
    /// others fail, one success ends nothing. The outage lasted until the first of `successes` after its last failure.
    pub fn succeeded_after(
        &mut self,
        quiet: Duration,
        successes: impl Iterator<Item = Instant>,
        now: Instant,
    ) -> Option<OutageReport> {
        let failed_last = self.current?.failed_last;
        if now.duration_since(failed_last) < quiet {
            return None;
        }
        let end = successes.filter(|success| *success > failed_last).min();
        self.succeeded(end.unwrap_or(failed_last))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn report(seconds: u32, failures: u64) -> Option<OutageReport> {
        Some(OutageReport { lasting: SECOND * seconds, failures })
    }

    #[test]
    fn an_outage_is_reported_when_it_begins_once_a_minute_and_when_it_ends() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        let reports: Vec<u32> =
            (0..=130).filter(|second| outage.failed(start + SECOND * *second).is_some()).collect();
        assert_eq!(reports, [0, 60, 120]);
        assert_eq!(outage.succeeded(start + SECOND * 131), report(131, 131));
        assert_eq!(outage.succeeded(start + SECOND * 132), None);
        assert_eq!(outage.failed(start + SECOND * 133), report(0, 1));
    }

    #[test]
    fn where_some_tries_succeed_an_outage_ends_with_its_last_failure() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        let none = std::iter::empty;
        assert_eq!(outage.succeeded_after(SECOND * 10, none(), start), None);
        outage.failed(start);
        outage.failed(start + SECOND * 4);
        assert_eq!(outage.succeeded_after(SECOND * 10, none(), start + SECOND * 13), None);
        assert_eq!(outage.succeeded_after(SECOND * 10, none(), start + SECOND * 14), report(4, 2));
        assert_eq!(outage.succeeded(start + SECOND * 20), None);
    }

    #[test]
    fn an_outage_lasts_until_the_first_success_after_its_last_failure() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        outage.failed(start);
        let successes = [9, 7, 0].map(|second| start + SECOND * second);
        let over = outage.succeeded_after(SECOND * 10, successes.into_iter(), start + SECOND * 14);
        assert_eq!(over, report(7, 1));
    }
}
