//! Runs that come and go beside the speed layer: nightly ones, maintenance, and resets of watermarks.

use std::sync::Arc;
use std::time::Duration;

use lake_model::KafkaPartition;
use rand::RngExt;
use tokio::time::Instant;

use super::Director;
use crate::process::{Death, Process};
use crate::producer::HOUR_US;
use crate::world::{Fortune, Running};

/// Batch processes at a time, so that a slow store does not pile them up.
const MAX_BATCHES: usize = 4;
/// How long a scenario waits for a run: a nightly one waits for landing, and the store may be away.
const PATIENCE: Duration = Duration::from_secs(40);

impl Director {
    /// Starts maintenance or a nightly run, now and then two at once.
    pub(super) fn start_batch(&mut self) {
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

    /// Starts a nightly run that waits that long for landing, if there is room.
    pub fn nightly(&mut self, fortune: Fortune, wait: Duration) -> Option<Arc<Process>> {
        let name = self.name_of_batch("nightly")?;
        self.world.trace.count("nightly run");
        let running = self.world.nightly(name, fortune, wait);
        Some(self.keep(running))
    }

    /// Starts a maintenance run, if there is room.
    pub fn maintain(&mut self, fortune: Fortune) -> Option<Arc<Process>> {
        let name = self.name_of_batch("maintain")?;
        self.world.trace.count("maintenance run");
        let running = self.world.maintain(name, fortune);
        Some(self.keep(running))
    }

    /// Sets a watermark back by some hours, while the speed layer runs.
    pub fn reset_watermark(&mut self, partition: KafkaPartition) -> Option<Arc<Process>> {
        let name = self.name_of_batch("reset")?;
        self.world.trace.count("watermark reset");
        let back_us = self.chance.random_range(0..8 * HOUR_US);
        let to_us = self.world.clock.now_us() - back_us;
        let fortune = self.fortune();
        let running = self.world.reset_watermark(name, fortune, partition, to_us);
        Some(self.keep(running))
    }

    /// Lets time pass until `process` is over, within bounds.
    pub async fn see_out(&mut self, process: &Process) {
        let end = Instant::now() + PATIENCE;
        while !process.has_ended() && Instant::now() < end {
            self.settle(Duration::from_millis(400)).await;
        }
    }

    /// Lets time pass until no run is under way, within bounds.
    pub async fn see_all_out(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.batches.is_empty() && Instant::now() < end {
            self.settle(Duration::from_millis(400)).await;
        }
    }

    /// The name of another run, if one may start: the tables are there, and not too many runs are under way.
    fn name_of_batch(&mut self, kind: &str) -> Option<String> {
        // The speed layer makes this table last.
        let last = "offset_gaps/_delta_log/00000000000000000000.json";
        if self.batches.len() >= MAX_BATCHES || !self.world.store.has_had(last) {
            return None;
        }
        self.processes += 1;
        Some(format!("{kind}-{}", self.processes))
    }

    fn keep(&mut self, running: Running) -> Arc<Process> {
        let process = Arc::clone(&running.process);
        self.batches.push(running);
        process
    }
}
