//! Who makes things happen, step by step: has records sent, and starts, hurts and stops processes.
//!
//! The parts act on the same state: `instances` on those of the speed layer, `batches` on runs that come and go, and
//! `disturbance` on the topic. At the end everything is stopped or killed.

mod batches;
mod disturbance;
mod instances;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lake_model::KafkaPartition;
use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep, sleep_until};

use crate::chance;
use crate::producer::{MINUTE_US, Producer};
use crate::world::{Running, World};

/// How far a process's clock may be from the true one.
pub const MAX_SKEW_US: i64 = 10 * MINUTE_US;

/// How often what goes wrong, in times of a hundred steps.
#[derive(Clone, Copy, Debug)]
pub struct Hazards {
    /// A process is hurt.
    pub violence: u32,
    /// A broker leads that lacks records.
    pub unclean_elections: u32,
}

/// The director of a run.
pub struct Director {
    /// The world.
    pub world: Arc<World>,
    /// What cameras send.
    pub producer: Producer,
    /// Whether logs are to end in the markers of aborted transactions.
    pub ends_in_markers: bool,
    /// Partitions with a transaction that does not end before the run does.
    hanging: BTreeSet<KafkaPartition>,
    chance: SmallRng,
    hazards: Hazards,
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
    /// The director of a run with so many instances of the speed layer.
    pub fn new(world: &Arc<World>, instances: usize, hazards: Hazards) -> Director {
        let stream = |name| chance::stream(world.seed, name);
        let producer = Producer::new(&world.broker, &world.clock, &world.trace, stream("producer"));
        Director {
            world: Arc::clone(world),
            producer,
            ends_in_markers: false,
            hanging: BTreeSet::new(),
            chance: stream("director"),
            hazards,
            slots: (0..instances).map(|_| Slot::default()).collect(),
            batches: Vec::new(),
            processes: 0,
            is_down: false,
            frozen: Vec::new(),
        }
    }

    /// A step of the run.
    pub async fn step(&mut self) {
        if self.chance.random_bool(0.6) {
            let count = self.chance.random_range(1..18);
            self.producer.burst(count);
        }
        self.disturb_the_log();
        self.end_transactions();
        self.change_leaders();
        let accepts_loss = self.world.accepts_loss_since_us() == Some(0);
        if accepts_loss && self.chance.random_bool(0.04) {
            self.lose_records().await;
        }
        if self.chance.random_range(0..100) < self.hazards.violence {
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
            self.batches.retain(|running| !running.process.has_ended());
            sleep_until(end.min(Instant::now() + Duration::from_millis(400))).await;
        }
    }

    /// A partition.
    pub fn any_partition(&mut self) -> KafkaPartition {
        let partitions = self.world.broker.partitions();
        partitions[self.chance.random_range(0..partitions.len())]
    }

    /// A number from 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.chance.random_range(0..end)
    }

    /// Ends the disturbance: what is frozen wakes, transactions end, and everything is stopped or killed. What
    /// does not end in `limit` is a problem.
    pub async fn finish(&mut self, limit: Duration) {
        self.world.faults.turn_off();
        self.world.broker.catch_up();
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
        let mut all: Vec<Running> = slots.into_iter().filter_map(|slot| slot.running).collect();
        all.append(&mut self.batches);
        for running in &mut all {
            if is_violent && running.process.name().starts_with("speed") {
                running.process.kill();
            } else {
                running.stop();
            }
        }
        self.wait_for_ends(all, limit).await;
    }

    async fn wait_for_ends(&self, all: Vec<Running>, limit: Duration) {
        for running in all {
            let process = Arc::clone(&running.process);
            if tokio::time::timeout(limit, running.ended()).await.is_err() {
                process.kill();
                let name = process.name();
                let problem = format!("{name} did not stop within {limit:?} without faults");
                self.world.trace.problem(problem);
            }
        }
    }
}
