//! Who makes things happen: starts, hurts and stops processes, has records sent, and moves retention on.

use std::sync::Arc;
use std::time::Duration;

use lake::settings::OnDataLoss;
use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep, sleep_until};

use crate::chance;
use crate::plan::Plan;
use crate::process::Death;
use crate::producer::{HOUR_US, MINUTE_US, Producer};
use crate::world::{Fortune, Running, World};

/// How far a process's clock may be from the true one.
pub const MAX_SKEW_US: i64 = 10 * MINUTE_US;
/// Batch processes at a time, so that a slow store does not pile them up.
const MAX_BATCHES: usize = 4;

/// The director of a run.
pub struct Director {
    /// The world.
    pub world: Arc<World>,
    /// What cameras send.
    pub producer: Producer,
    /// Whether logs are to end in the markers of aborted transactions.
    pub ends_in_markers: bool,
    chance: SmallRng,
    violence: u32,
    slots: Vec<Slot>,
    batches: Vec<Running>,
    processes: usize,
    /// Whether no instance of the speed layer is started.
    is_down: bool,
    /// Frozen processes, with when they wake.
    frozen: Vec<(Instant, Running)>,
}

/// A place for an instance of the speed layer.
#[derive(Default)]
struct Slot {
    running: Option<Running>,
    starts_at: Option<Instant>,
}

impl Director {
    /// The director of a run by `plan`.
    pub fn new(world: &Arc<World>, plan: &Plan) -> Director {
        let stream = |name| chance::stream(world.seed, name);
        let producer = Producer::new(&world.broker, &world.clock, &world.trace, stream("producer"));
        Director {
            world: Arc::clone(world),
            producer,
            ends_in_markers: false,
            chance: stream("director"),
            violence: plan.violence,
            slots: (0..plan.instances).map(|_| Slot::default()).collect(),
            batches: Vec::new(),
            processes: 0,
            is_down: false,
            frozen: Vec::new(),
        }
    }

    /// Plays the whole run but its end.
    pub async fn play(&mut self, plan: &Plan) {
        for step in 0..plan.steps {
            self.step().await;
            for (at, scenario) in &plan.scenarios {
                if *at == step {
                    self.world.trace.count(scenario.name());
                    self.world.trace.say(scenario.name());
                    scenario.play(self).await;
                }
            }
        }
    }

    async fn step(&mut self) {
        if self.chance.random_bool(0.6) {
            let count = self.chance.random_range(1..18);
            self.producer.burst(count);
        }
        self.disturb_the_log();
        let accepts_loss = self.world.settings.kafka.on_data_loss == OnDataLoss::Accept;
        if accepts_loss && self.chance.random_bool(0.04) {
            self.lose_records().await;
        }
        if self.chance.random_range(0..100) < self.violence {
            self.hurt();
        }
        if self.chance.random_bool(0.10) {
            self.start_batch();
        }
        let wait = Duration::from_millis(self.chance.random_range(300..4_500));
        self.settle(wait).await;
    }

    /// Lets time pass while instances that ended are started again and frozen ones wake.
    pub async fn settle(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.look_after();
            sleep_until(end.min(Instant::now() + Duration::from_millis(400))).await;
        }
    }

    fn look_after(&mut self) {
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
        self.batches.retain(|running| !running.process.has_ended());
    }

    fn start_instance(&mut self, place: usize) {
        self.processes += 1;
        let name = format!("speed-{}", self.processes);
        let fortune = self.fortune();
        let running = self.world.speed_layer(name, fortune, None);
        self.slots[place] = Slot { running: Some(running), starts_at: None };
    }

    /// A clock that may be wrong and, as violence has it, a death to come.
    fn fortune(&mut self) -> Fortune {
        let mut fortune = Fortune::default();
        if self.chance.random_bool(0.3) {
            fortune.skew_us = self.chance.random_range(-MAX_SKEW_US..=MAX_SKEW_US);
        }
        if self.chance.random_range(0..100) < self.violence {
            fortune.death = Some(self.death());
        }
        fortune
    }

    fn death(&mut self) -> Death {
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

    fn hurt(&mut self) {
        let place = self.chance.random_range(0..self.slots.len());
        match self.chance.random_range(0..8) {
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
            6 => {
                let skew_us = self.chance.random_range(-MAX_SKEW_US..=MAX_SKEW_US);
                if let Some(running) = &self.slots[place].running {
                    self.world.trace.count("clock jump");
                    running.ambient.jump_to(skew_us);
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
        // Seldom for longer than log entries are kept, never for as long as files that no log names.
        let most = if self.chance.random_bool(0.15) { 45_000 } else { 12_000 };
        let length = Duration::from_millis(self.chance.random_range(500..most));
        self.freeze_for(place, length);
    }

    fn freeze_for(&mut self, place: usize, length: Duration) {
        let Some(running) = self.slots[place].running.take() else { return };
        self.world.trace.count("freeze");
        self.world.trace.say(&format!("{} is frozen", running.process.name()));
        running.process.freeze(true);
        self.frozen.push((Instant::now() + length, running));
    }

    fn wake(&mut self, mut running: Running) {
        let name = running.process.name().to_owned();
        let is_member = self.world.broker.owners().iter().any(|(owner, _)| *owner == name);
        if !is_member && !running.process.has_ended() {
            self.world.trace.count("zombie");
        }
        self.world.trace.say(&format!("{name} wakes"));
        running.process.freeze(false);
        // Its place is taken: it goes once it has done its harm.
        match self.slots.iter_mut().find(|slot| slot.running.is_none()) {
            Some(slot) => slot.running = Some(running),
            None => {
                running.stop();
                self.batches.push(running);
            }
        }
    }

    fn disturb_the_log(&mut self) {
        let partition = self.any_partition();
        match self.chance.random_range(0..40) {
            0 => {
                let count = self.chance.random_range(10..30);
                self.producer.storm_of_late_ones(count);
            }
            1 | 2 => {
                let count = self.chance.random_range(1..6);
                self.producer.begin(partition, count);
            }
            3..6 => {
                let is_committed = self.chance.random_bool(0.4);
                self.producer.end(partition, is_committed);
            }
            6 => {
                self.world.trace.count("rebalance asked for");
                self.world.broker.shake();
            }
            7 if self.world.broker.partitions().len() < 5 => {
                self.world.trace.count("partition added");
                self.world.broker.add_partition();
            }
            8..11 => {
                self.world.trace.count("retention of the topic");
                let permille = self.chance.random_range(100..=1_000);
                self.world.broker.expire(partition, permille);
            }
            11..13 => {
                let speed = &self.world.settings.speed;
                let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(0);
                let (allowed, delay) =
                    (micros(speed.allowed_lateness), micros(speed.out_of_orderness));
                self.producer.at_the_edge(partition, allowed, delay);
            }
            13 => self.reset_watermark(partition),
            _ => {}
        }
    }

    /// Everything is down for longer than the topic keeps its records.
    async fn lose_records(&mut self) {
        let end = Instant::now() + Duration::from_secs(18);
        for slot in &mut self.slots {
            slot.running.iter_mut().for_each(Running::stop);
            slot.starts_at = Some(end);
        }
        self.is_down = true;
        self.settle(Duration::from_secs(7)).await;
        self.kill_all();
        // By then what was on its way has arrived.
        self.settle(Duration::from_secs(8)).await;
        self.is_down = false;
        let is_quiet = self.frozen.is_empty() && self.batches.is_empty();
        if !is_quiet {
            return;
        }
        self.world.trace.count("loss of records while everything is down");
        self.producer.burst(15);
        for partition in self.world.broker.partitions() {
            let settings = &self.world.settings;
            let app_id = format!("{}:{}:{partition}", settings.pipeline.name, settings.kafka.topic);
            let held = ["events", "avg_speed"].map(|t| self.world.store.last_txn(t, &app_id));
            // What only one of the tables holds would be a loss to the other alone.
            if held[0] == held[1] {
                let permille = self.chance.random_range(300..=1_000);
                self.world.broker.lose(partition, held[0], permille);
            }
        }
    }

    /// Sets a watermark back by some hours, while the speed layer runs.
    fn reset_watermark(&mut self, partition: i32) {
        if self.has_room_for_batch() {
            self.processes += 1;
            self.world.trace.count("watermark reset");
            let back_us = self.chance.random_range(0..8 * HOUR_US);
            let to_us = self.world.clock.now_us() - back_us;
            let fortune = self.fortune();
            let name = format!("reset-{}", self.processes);
            self.batches.push(self.world.reset_watermark(name, fortune, partition, to_us));
        }
    }

    fn start_batch(&mut self) {
        let fortune = self.fortune();
        if self.chance.random_bool(0.4) {
            let in_threads = |death| match death {
                Death::Await { nth } => Death::Instant { nth },
                death => death,
            };
            let death = fortune.death.map(in_threads);
            self.maintain(Fortune { death, ..fortune });
            if self.chance.random_bool(0.3) {
                self.world.trace.count("two maintenance runs at once");
                self.maintain(Fortune::default());
            }
            return;
        }
        let wait = Duration::from_millis(self.chance.random_range(1_000..15_000));
        self.nightly(fortune, wait);
        if self.chance.random_bool(0.25) {
            self.world.trace.count("two nightlies at once");
            let fortune = self.fortune();
            self.nightly(fortune, wait);
        }
    }

    /// Whether another run of the batch may start: the tables are there, and not too many are under way.
    fn has_room_for_batch(&self) -> bool {
        // The speed layer makes this table last.
        let last = "avg_speed/_delta_log/00000000000000000000.json";
        self.batches.len() < MAX_BATCHES && self.world.store.has_had(last)
    }

    /// Starts a nightly run.
    pub fn nightly(&mut self, fortune: Fortune, wait: Duration) {
        if self.has_room_for_batch() {
            self.processes += 1;
            self.world.trace.count("nightly run");
            let name = format!("nightly-{}", self.processes);
            self.batches.push(self.world.nightly(name, fortune, wait));
        }
    }

    fn maintain(&mut self, fortune: Fortune) {
        if self.has_room_for_batch() {
            self.processes += 1;
            self.world.trace.count("maintenance run");
            let name = format!("maintain-{}", self.processes);
            self.batches.push(self.world.maintain(name, fortune));
        }
    }

    /// A partition.
    pub fn any_partition(&mut self) -> i32 {
        let partitions = self.world.broker.partitions();
        partitions[self.chance.random_range(0..partitions.len())]
    }

    /// A number from 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.chance.random_range(0..end)
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

    /// Ends the disturbance: what is frozen wakes, transactions end, and everything is stopped or killed. What
    /// does not end in `limit` is a problem.
    pub async fn finish(&mut self, limit: Duration) {
        self.world.faults.turn_off();
        for partition in self.world.broker.partitions() {
            let is_committed = !self.ends_in_markers && self.chance.random_bool(0.5);
            if self.ends_in_markers {
                self.producer.begin(partition, 2);
            }
            self.producer.end(partition, is_committed);
        }
        for (_, running) in std::mem::take(&mut self.frozen) {
            running.process.freeze(false);
            self.batches.push(running);
        }
        sleep(Duration::from_millis(self.chance.random_range(0..3_000))).await;
        let is_violent = self.chance.random_bool(0.5);
        let slots = std::mem::take(&mut self.slots);
        let instances = slots.into_iter().filter_map(|slot| slot.running);
        let mut running: Vec<Running> =
            instances.chain(std::mem::take(&mut self.batches)).collect();
        for running in &mut running {
            if is_violent && running.process.name().starts_with("speed") {
                running.process.kill();
            } else {
                running.stop();
            }
        }
        for running in running {
            let name = running.process.name().to_owned();
            let process = Arc::clone(&running.process);
            if tokio::time::timeout(limit, running.ended()).await.is_err() {
                process.kill();
                let problem = format!("{name} did not stop within {limit:?} without faults");
                self.world.trace.problem(problem);
            }
        }
    }
}
