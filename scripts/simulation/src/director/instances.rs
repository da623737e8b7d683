//! The instances of the speed layer: started in their slots, hurt, frozen, and woken as zombies.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::{Director, MAX_SKEW_US, Slot};
use crate::process::Death;
use crate::world::{Fortune, Running};

impl Director {
    /// Starts instances in slots that are free again, and wakes who was frozen for long enough.
    pub(super) fn look_after(&mut self) {
        let now = Instant::now();
        for place in 0..self.slots.len() {
            let slot = &mut self.slots[place];
            if slot.running.as_ref().is_some_and(|running| running.process.has_ended()) {
                slot.running = None;
                let wait = self.chance.random_range(100..8_000);
                slot.starts_at = Some(now + Duration::from_millis(wait));
            }
            if slot.running.is_none() && !self.is_down && slot.starts_at.is_none_or(|at| at <= now)
            {
                self.start_instance(place);
            }
        }
        let due = self.frozen.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>();
        for (_, running) in due {
            self.wake(running);
        }
    }

    fn start_instance(&mut self, place: usize) {
        self.processes += 1;
        let name = format!("speed-{}", self.processes);
        let fortune = self.fortune();
        let ends = self.chance.random_bool(0.1).then(|| self.world.broker.ends());
        if ends.is_some() {
            self.world.trace.count("run until the ends");
        }
        let running = self.world.speed_layer(name, fortune, ends);
        self.slots[place] = Slot { running: Some(running), starts_at: None };
    }

    /// A clock that may be wrong and, as violence has it, a death to come.
    pub(super) fn fortune(&mut self) -> Fortune {
        let mut fortune = Fortune::default();
        if self.chance.random_bool(0.3) {
            fortune.skew_us = self.chance.random_range(-MAX_SKEW_US..=MAX_SKEW_US);
        }
        if self.chance.random_range(0..100) < self.hazards.violence {
            fortune.death = Some(self.death());
        }
        fortune
    }

    /// A moment to die at.
    pub(super) fn death(&mut self) -> Death {
        let after_effect = self.chance.random_bool(0.5);
        match self.chance.random_range(0..3) {
            0 => Death::Await { nth: self.chance.random_range(1..1_500) },
            1 => Death::Put {
                path: ["_delta_log/", ".parquet"][self.chance.random_range(0..2)],
                nth: self.chance.random_range(1..25),
                after_effect,
            },
            _ => Death::Request { nth: self.chance.random_range(1..300), after_effect },
        }
    }

    /// Something bad happens to an instance, or to the store.
    pub(super) fn hurt(&mut self) {
        let place = self.chance.random_range(0..self.slots.len());
        match self.chance.random_range(0..9) {
            0 | 1 => {
                let death = self.death();
                if let Some(running) = &self.slots[place].running {
                    running.process.doom(death);
                }
            }
            2 => self.kill(place),
            3 | 4 => self.freeze(place),
            5 => {
                if let Some(running) = &mut self.slots[place].running {
                    self.world.trace.count("graceful stop");
                    running.stop();
                }
            }
            6 => self.freeze_a_batch(),
            7 => {
                let skew_us = self.chance.random_range(-MAX_SKEW_US..=MAX_SKEW_US);
                if let Some(running) = &self.slots[place].running {
                    self.world.trace.count("clock jump");
                    running.environment.jump_to(skew_us);
                }
            }
            _ => {
                let from_ms = self.world.clock.elapsed_ms();
                let length_ms = self.chance.random_range(200..15_000);
                self.world.trace.count("outage of the store");
                self.world.faults.set_outage(from_ms, from_ms + length_ms);
            }
        }
    }

    fn kill(&mut self, place: usize) {
        if let Some(running) = &self.slots[place].running {
            self.world.trace.say(&format!("{} is killed", running.process.name()));
            running.process.kill();
        }
    }

    /// Freezes the instance in a slot. It keeps its slot free for a successor, and wakes after a while.
    fn freeze(&mut self, place: usize) {
        let length = self.length_of_freeze();
        self.freeze_for(place, length);
    }

    /// Seldom longer than log entries are kept, or files that no log names.
    fn length_of_freeze(&mut self) -> Duration {
        let most = if self.chance.random_bool(0.15) { 90_000 } else { 12_000 };
        Duration::from_millis(self.chance.random_range(500..most))
    }

    /// Freezes a nightly or a maintenance run.
    fn freeze_a_batch(&mut self) {
        if self.batches.is_empty() {
            return;
        }
        let place = self.chance.random_range(0..self.batches.len());
        let running = self.batches.remove(place);
        let length = self.length_of_freeze();
        self.freeze_running(running, "freeze of a batch run", length);
    }

    fn freeze_for(&mut self, place: usize, length: Duration) {
        if let Some(running) = self.slots[place].running.take() {
            self.freeze_running(running, "freeze", length);
        }
    }

    fn freeze_running(&mut self, running: Running, counted_as: &'static str, length: Duration) {
        self.world.trace.count(counted_as);
        self.world.trace.say(&format!("{} is frozen", running.process.name()));
        running.process.freeze(true);
        self.frozen.push((Instant::now() + length, running));
    }

    fn wake(&mut self, mut running: Running) {
        let name = running.process.name().to_owned();
        let is_member = self.world.broker.owners().iter().any(|(owner, _)| *owner == name);
        if name.starts_with("speed") && !is_member && !running.process.has_ended() {
            self.world.trace.count("zombie");
        }
        self.world.trace.say(&format!("{name} wakes"));
        running.process.freeze(false);
        if !name.starts_with("speed") {
            self.batches.push(running);
            return;
        }
        // Its place is taken: it goes once it has done its harm.
        match self.slots.iter_mut().find(|slot| slot.running.is_none()) {
            Some(slot) => slot.running = Some(running),
            None => {
                running.stop();
                self.batches.push(running);
            }
        }
    }

    /// Makes sure that there are at least two slots.
    pub fn fill_slots(&mut self) {
        while self.slots.len() < 2 {
            self.slots.push(Slot::default());
        }
        self.look_after();
    }

    /// Freezes an instance that owns partitions for long; returns its name.
    pub fn freeze_an_owner(&mut self) -> Option<String> {
        let owners = self.world.broker.owners();
        let is_owner = |slot: &Slot| {
            slot.running.as_ref().is_some_and(|running| {
                let name = running.process.name();
                owners.iter().any(|(owner, owned)| owner == name && !owned.is_empty())
            })
        };
        let place = self.slots.iter().position(is_owner)?;
        let name = self.slots[place].running.as_ref()?.process.name().to_owned();
        self.freeze_for(place, Duration::from_secs(3_600));
        Some(name)
    }

    /// Wakes the process of that name.
    pub fn thaw(&mut self, name: &str) {
        let found = self.frozen.iter().position(|(_, running)| running.process.name() == name);
        if let Some(at) = found {
            let (_, running) = self.frozen.remove(at);
            self.wake(running);
        }
    }

    /// Every instance dies there.
    pub fn doom_all(&mut self, death: Death) {
        for running in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
            running.process.doom(death);
        }
    }

    /// Kills every instance.
    pub fn kill_all(&mut self) {
        for place in 0..self.slots.len() {
            self.kill(place);
        }
    }
}
