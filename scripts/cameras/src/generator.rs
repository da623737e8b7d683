//! The generator: every delivery of a run in the order in which they reach Kafka.
//!
//! Seconds of the schedule are drawn one after the other into a queue ordered by arrival; what arrives
//! before the next second begins can't be overtaken any more and leaves. So the queue holds what is under
//! way: some seconds of traffic, and the sightings that are late. Memory grows with the rate and the
//! lateness, not with the length of the run.
//!
//! Pure: the same world, schedule, shares and seed give the same deliveries.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use lake_model::Timestamp;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::bad::BadKind;
use crate::schedule::{Schedule, Slot};
use crate::world::{Sighting, World};

/// The greatest time a sighting takes to Kafka when nothing holds it up, in milliseconds.
pub const MAX_TRANSIT_MS: i64 = 20_000;
/// The longest time from an event to its duplicate, in milliseconds.
pub const MAX_RESEND_MS: i64 = 1_800_000;
/// The shortest time from an event to its duplicate, in milliseconds.
const MIN_RESEND_MS: i64 = 1000;

/// How many of the events have a fate of their own; each share is from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Events held up on their way.
    pub late: f64,
    /// The longest that they are held up, in milliseconds.
    pub late_max_ms: i64,
    /// Events sent a second time.
    pub duplicates: f64,
    /// Bad records per event.
    pub bad: f64,
}

/// What a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An event in good time.
    Event,
    /// An event that was held up.
    Late,
    /// An event that was sent before.
    Duplicate,
    /// No event at all.
    Bad(BadKind),
}

/// A sighting on its way to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delivery {
    /// When it reaches Kafka: the record's timestamp, in milliseconds since 1970.
    pub arrival_ms: i64,
    /// Its place among the deliveries drawn, which decides between equal arrivals.
    sequence: u64,
    /// What it is.
    pub kind: Kind,
    /// What the camera saw.
    pub sighting: Sighting,
}

/// The deliveries of a run, ordered by arrival.
#[derive(Debug)]
pub struct Generator<'w> {
    world: &'w World,
    schedule: Schedule,
    shares: Shares,
    random: SmallRng,
    under_way: BinaryHeap<Reverse<Delivery>>,
    /// Nothing drawn from now on arrives before this instant.
    frontier_ms: i64,
    /// What arrives before this instant is left out.
    earliest_arrival_ms: i64,
    sequence: u64,
    bad_drawn: usize,
}

impl<'w> Generator<'w> {
    /// The deliveries of a run.
    pub fn new(world: &'w World, schedule: Schedule, shares: Shares, seed: u64) -> Generator<'w> {
        Generator {
            world,
            schedule,
            shares,
            random: SmallRng::seed_from_u64(seed),
            under_way: BinaryHeap::new(),
            frontier_ms: i64::MIN,
            earliest_arrival_ms: i64::MIN,
            sequence: 0,
            bad_drawn: 0,
        }
    }

    /// The same deliveries with those that are under way at `start`: events of `before`, all of them late, as if the
    /// cameras had been reporting for long.
    pub fn with_under_way(mut self, before: Schedule, start: Timestamp) -> Generator<'w> {
        let start_ms = start.micros().div_euclid(1000);
        let live = std::mem::replace(&mut self.schedule, before);
        let shares = self.shares;
        self.shares = Shares { late: 1.0, bad: 0.0, ..shares };
        self.earliest_arrival_ms = start_ms;
        while let Some(slot) =
            self.schedule.next().filter(|slot| slot.start_ms + slot.length_ms <= start_ms)
        {
            self.draw_slot(slot);
        }
        Generator { schedule: live, shares, frontier_ms: start_ms, ..self }
    }

    /// Deliveries drawn that have not arrived yet.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    fn draw_slot(&mut self, slot: Slot) {
        for _ in 0..slot.events {
            self.draw_event(slot);
        }
        self.frontier_ms = slot.start_ms + slot.length_ms;
    }

    fn draw_event(&mut self, slot: Slot) {
        let event_ms = slot.start_ms + self.random.random_range(0..slot.length_ms);
        let sighting = self.world.draw(event_ms, slot.congestion, &mut self.random);
        let mut arrival_ms = event_ms + self.random.random_range(0..MAX_TRANSIT_MS);
        let mut kind = Kind::Event;
        if self.random.random_bool(self.shares.late) {
            arrival_ms += self.random.random_range(0..=self.shares.late_max_ms);
            kind = Kind::Late;
        }
        self.push(arrival_ms, kind, sighting);
        if self.random.random_bool(self.shares.duplicates) {
            let again_ms = arrival_ms + self.random.random_range(MIN_RESEND_MS..=MAX_RESEND_MS);
            self.push(again_ms, Kind::Duplicate, sighting);
        }
        if self.random.random_bool(self.shares.bad) {
            self.draw_bad(event_ms, slot.congestion);
        }
    }

    fn draw_bad(&mut self, event_ms: i64, congestion: f64) {
        let sighting = self.world.draw(event_ms, congestion, &mut self.random);
        let arrival_ms = event_ms + self.random.random_range(0..MAX_TRANSIT_MS);
        let kind = BadKind::ALL[self.bad_drawn % BadKind::ALL.len()];
        self.bad_drawn += 1;
        self.push(arrival_ms, Kind::Bad(kind), sighting);
    }

    fn push(&mut self, arrival_ms: i64, kind: Kind, sighting: Sighting) {
        if arrival_ms < self.earliest_arrival_ms {
            return;
        }
        self.sequence += 1;
        let sequence = self.sequence;
        self.under_way.push(Reverse(Delivery { arrival_ms, sequence, kind, sighting }));
    }
}

impl Iterator for Generator<'_> {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        while self
            .under_way
            .peek()
            .is_none_or(|Reverse(first)| first.arrival_ms >= self.frontier_ms)
        {
            match self.schedule.next() {
                Some(slot) => self.draw_slot(slot),
                None => break,
            }
        }
        self.under_way.pop().map(|Reverse(delivery)| delivery)
    }
}

#[cfg(test)]
mod tests;
