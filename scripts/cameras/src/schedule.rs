//! The schedule: how many events each second holds.
//!
//! Over simulated days the events follow the [`Rhythm`] of each day and add up to exactly the number asked
//! for. Live, every second holds the rate, without end. Pure: the instant to start from is an argument.

use lake_model::{Calendar, Day, DaySpan, Timestamp};

use crate::rhythm::Rhythm;

/// Milliseconds in a slot.
pub const SLOT_MS: i64 = 1000;

/// A second of the simulated time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Its start, in milliseconds since 1970.
    pub start_ms: i64,
    /// Its length in milliseconds: [`SLOT_MS`], less where a day ends within the second.
    pub length_ms: i64,
    /// Events in it.
    pub events: u64,
    /// How much cars slow each other down, from 0 to 1.
    pub congestion: f64,
}

/// The seconds of a run, in order of time.
#[derive(Clone, Debug)]
pub struct Schedule {
    calendar: Calendar,
    day: DaySpan,
    next_ms: i64,
    scheduled: u64,
    /// Sum of the weights of the slots given so far.
    weight: f64,
    volume: Volume,
}

/// How many events there are.
#[derive(Clone, Copy, Debug)]
enum Volume {
    /// This many in all, in proportion to traffic.
    Total { events: u64, weight: f64, end_ms: i64 },
    /// This many a second, for ever.
    Rate(f64),
}

impl Schedule {
    /// `events` events over `days` days from `first` on.
    pub fn over_days(calendar: Calendar, first: Day, days: u32, events: u64) -> Schedule {
        let spans =
            (0..i32::try_from(days).unwrap_or(i32::MAX)).map(|n| calendar.span(first.plus(n)));
        let (mut weight, mut end_ms) = (0.0, 0);
        for span in spans {
            weight += slots(span).map(|start| traffic(span, start)).sum::<f64>();
            end_ms = millis(span.end);
        }
        let day = calendar.span(first);
        let volume = Volume::Total { events, weight, end_ms };
        let next_ms = millis(day.start);
        Schedule { calendar, day, next_ms, scheduled: 0, weight: 0.0, volume }
    }

    /// `rate` events a second from `start` on, for ever.
    pub fn live(calendar: Calendar, start: Timestamp, rate: f64) -> Schedule {
        let (day, next_ms) = (calendar.span_at(start), millis(start));
        Schedule { calendar, day, next_ms, scheduled: 0, weight: 0.0, volume: Volume::Rate(rate) }
    }

    fn enter_day(&mut self) {
        while self.next_ms >= millis(self.day.end) {
            self.day = self.calendar.span(self.day.day.plus(1));
        }
    }

    /// Events of all slots up to and including the one that starts at `next_ms`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are positive"
    )]
    #[expect(clippy::cast_precision_loss, reason = "a share of the events, rounded")]
    fn scheduled_through(&self, slot_end_ms: i64) -> u64 {
        match self.volume {
            Volume::Total { events, end_ms, .. } if slot_end_ms >= end_ms => events,
            Volume::Total { events, weight, .. } => {
                ((self.weight / weight * events as f64) as u64).min(events)
            }
            Volume::Rate(rate) => (self.weight * rate) as u64,
        }
    }
}

impl Iterator for Schedule {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        if matches!(self.volume, Volume::Total { end_ms, .. } if self.next_ms >= end_ms) {
            return None;
        }
        self.enter_day();
        let start_ms = self.next_ms;
        self.next_ms = (start_ms + SLOT_MS).min(millis(self.day.end));
        self.weight += match self.volume {
            Volume::Total { .. } => traffic(self.day, start_ms),
            Volume::Rate(_) => seconds(self.next_ms - start_ms),
        };
        let scheduled = self.scheduled_through(self.next_ms).max(self.scheduled);
        let events = scheduled - self.scheduled;
        self.scheduled = scheduled;
        let congestion = Rhythm::of(self.day.day).congestion(fraction(self.day, start_ms));
        Some(Slot { start_ms, length_ms: self.next_ms - start_ms, events, congestion })
    }
}

/// The starts of the slots of a day.
fn slots(span: DaySpan) -> impl Iterator<Item = i64> {
    let (start, end) = (millis(span.start), millis(span.end));
    (0..).map(move |n| start + n * SLOT_MS).take_while(move |slot| *slot < end)
}

fn traffic(span: DaySpan, at_ms: i64) -> f64 {
    Rhythm::of(span.day).traffic(fraction(span, at_ms))
}

/// How much of the day has passed at an instant.
fn fraction(span: DaySpan, at_ms: i64) -> f64 {
    seconds(at_ms - millis(span.start)) / seconds(millis(span.end) - millis(span.start))
}

#[expect(clippy::cast_precision_loss, reason = "spans of days are far below 2^53 milliseconds")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn millis(time: Timestamp) -> i64 {
    time.micros().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn berlin() -> Calendar {
        Calendar::new("Europe/Berlin").expect("the zone is in the database")
    }

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a date")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn slots_tile_days_of_any_length_and_hold_exactly_the_events_asked_for(
            events in 0_u64..3_000_000,
            first in prop::sample::select(vec!["2025-03-29", "2025-10-25", "2025-04-05"]),
            days in 1_u32..4,
        ) {
            let (first, calendar) = (day(first), berlin());
            let end = calendar.span(first.plus(i32::try_from(days).expect("few"))).start;
            let (mut next_ms, mut sum) = (millis(calendar.span(first).start), 0);
            for slot in Schedule::over_days(calendar, first, days, events) {
                prop_assert_eq!(slot.start_ms, next_ms);
                next_ms += slot.length_ms;
                sum += slot.events;
            }
            prop_assert_eq!((next_ms, sum), (millis(end), events));
        }
    }

    #[test]
    fn a_working_day_peaks_in_the_rush_hours() {
        let first = day("2025-04-04");
        let start_ms = millis(berlin().span(first).start);
        let mut hours = [0_u64; 24];
        for slot in Schedule::over_days(berlin(), first, 1, 1_000_000) {
            hours[usize::try_from((slot.start_ms - start_ms) / 3_600_000).expect("0 to 23")] +=
                slot.events;
        }
        assert!(hours[8] > hours[11] && hours[17] > hours[11]);
        assert!(hours[3] < hours[11] / 5);
    }

    #[test]
    fn live_seconds_hold_the_rate_even_where_it_is_a_fraction_and_cross_midnight() {
        let start = Timestamp::parse("2025-04-04T21:59:50.250Z").expect("a time");
        let schedule = Schedule::live(berlin(), start, 2.5);
        let slots: Vec<Slot> = schedule.take(101).collect();
        assert_eq!(slots[0].start_ms, millis(start));
        let held: u64 = slots.iter().map(|slot| slot.events).sum();
        let length_ms: i64 = slots.iter().map(|slot| slot.length_ms).sum();
        assert_eq!(held, u64::try_from(length_ms * 5 / 2000).expect("positive"));
    }
}
