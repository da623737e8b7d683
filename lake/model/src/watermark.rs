//! Watermarks and lateness, per Kafka partition.
//!
//! The watermark of a partition is its greatest event time so far less the out-of-orderness. An event is
//! late when its 5-minute window ended more than the allowed lateness before the watermark as it stood just
//! before that event. Lateness therefore depends on the partition's log alone, and a replay decides the same.

use crate::calendar::DaySpan;
use crate::time::Timestamp;
use crate::window::WindowSize;

/// The two settings that lateness depends on, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// How long after its end a window still accepts events.
    pub allowed_us: i64,
    /// How far the watermark stays behind the greatest event time.
    pub out_of_orderness_us: i64,
}

impl Lateness {
    /// The watermark of a partition whose greatest event time is `max_event_time`.
    pub fn watermark(self, max_event_time: Timestamp) -> Timestamp {
        max_event_time.saturating_add(-self.out_of_orderness_us)
    }

    /// Whether windows that end at `end` are closed to the speed layer once a partition's greatest event
    /// time is `max_event_time`.
    #[inline]
    pub fn is_closed(self, end: Timestamp, max_event_time: Timestamp) -> bool {
        let watermark = self.watermark(max_event_time);
        watermark.saturating_since(end) > self.allowed_us
    }
}

/// The greatest event time of a partition's accepted events so far; none before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionClock {
    max_event_time: Option<Timestamp>,
}

impl PartitionClock {
    /// The clock of a partition whose accepted events so far reach up to `max_event_time`.
    pub fn resumed(max_event_time: Option<Timestamp>) -> PartitionClock {
        PartitionClock { max_event_time }
    }

    /// The greatest event time so far.
    pub fn max_event_time(self) -> Option<Timestamp> {
        self.max_event_time
    }

    /// Observes the partition's next accepted event, which is in `day`; returns whether it is late.
    /// A partition's first event never is.
    #[inline]
    pub fn observe(&mut self, time: Timestamp, day: &DaySpan, lateness: Lateness) -> bool {
        let end = day.window_at(WindowSize::FiveMinutes, time).end;
        let late = self.has_closed(end, lateness);
        self.max_event_time = self.max_event_time.max(Some(time));
        late
    }

    /// Whether windows that end at `end` accept no more events from this partition.
    #[inline]
    pub fn has_closed(self, end: Timestamp, lateness: Lateness) -> bool {
        self.max_event_time.is_some_and(|max| lateness.is_closed(end, max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;
    use proptest::prelude::*;

    const LATENESS: Lateness =
        Lateness { allowed_us: 10_800_000_000, out_of_orderness_us: 30_000_000 };

    fn late_flags(times: &[i64]) -> Vec<bool> {
        let (calendar, mut clock) = (Calendar::utc(), PartitionClock::default());
        let observe = |micros: &i64| {
            let time = Timestamp::from_micros(*micros);
            clock.observe(time, &calendar.span_at(time), LATENESS)
        };
        times.iter().map(observe).collect()
    }

    #[test]
    fn an_event_late_by_exactly_the_allowed_lateness_is_not_late() {
        let window_end = 300_000_000;
        let edge = window_end + LATENESS.allowed_us + LATENESS.out_of_orderness_us;
        assert_eq!(late_flags(&[edge - 1, 0]), [false, false]);
        assert_eq!(late_flags(&[edge, 0]), [false, false]);
        assert_eq!(late_flags(&[edge + 1, 0]), [false, true]);
    }

    #[test]
    fn the_first_event_is_never_late_and_an_event_does_not_judge_itself() {
        assert_eq!(late_flags(&[0]), [false]);
        assert_eq!(late_flags(&[0, 86_400_000_000, 0]), [false, false, true]);
    }

    proptest! {
        #[test]
        fn lateness_is_a_function_of_the_logs_prefix(
            times in prop::collection::vec(0_i64..200_000_000_000, 1..60),
            cut in 0_usize..60,
        ) {
            let cut = cut.min(times.len());
            let whole = late_flags(&times);
            prop_assert_eq!(&late_flags(&times[..cut])[..], &whole[..cut]);
            let resumed_at = times[..cut].iter().max().copied().map(Timestamp::from_micros);
            let (calendar, mut clock) = (Calendar::utc(), PartitionClock::resumed(resumed_at));
            for (micros, late) in times[cut..].iter().zip(&whole[cut..]) {
                let time = Timestamp::from_micros(*micros);
                prop_assert_eq!(clock.observe(time, &calendar.span_at(time), LATENESS), *late);
            }
        }

        #[test]
        fn a_closed_window_takes_no_more_events(
            times in prop::collection::vec(0_i64..200_000_000_000, 2..60),
        ) {
            let (calendar, mut clock) = (Calendar::utc(), PartitionClock::default());
            for micros in times {
                let time = Timestamp::from_micros(micros);
                let span = calendar.span_at(time);
                let hour = span.window_at(WindowSize::OneHour, time);
                let closed = clock.has_closed(hour.end, LATENESS);
                let late = clock.observe(time, &span, LATENESS);
                prop_assert!(!closed || late);
            }
        }
    }

    #[test]
    fn a_clock_stands_at_the_greatest_event_time_and_the_watermark_behind_it() {
        let (calendar, mut clock) = (Calendar::utc(), PartitionClock::default());
        assert_eq!(clock.max_event_time(), None);
        for micros in [70_000_000, 90_000_000, 80_000_000] {
            let time = Timestamp::from_micros(micros);
            clock.observe(time, &calendar.span_at(time), LATENESS);
        }
        let max = Timestamp::from_micros(90_000_000);
        assert_eq!(clock.max_event_time(), Some(max));
        assert_eq!(LATENESS.watermark(max), Timestamp::from_micros(60_000_000));
    }
}
