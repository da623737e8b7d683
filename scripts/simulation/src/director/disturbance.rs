//! What happens to the topic beside plain records: late storms, transactions, new partitions, retention, losses.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::Director;
use crate::producer::HOUR_US;
use crate::world::Running;

impl Director {
    /// Something happens to a partition, now and then.
    pub(super) fn disturb_the_log(&mut self) {
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
            3..5 => {
                let offsets = self.chance.random_range(1..15);
                let length = Duration::from_millis(self.chance.random_range(500..12_000));
                self.world.broker.step_back(partition, offsets, length);
            }
            5 if self.chance.random_bool(0.3) => {
                self.world.trace.count("hanging transaction");
                self.producer.begin(partition, 1);
                self.hanging.insert(partition);
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
            13 => {
                self.reset_watermark(partition);
            }
            14 if self.chance.random_bool(0.1) => {
                self.world.trace.count("events of days to come");
                let at_us = self.world.clock.now_us() + self.chance.random_range(30..90) * HOUR_US;
                self.producer.events_without_timestamp(partition, at_us, 3);
            }
            _ => {}
        }
    }

    /// Transactions end, all but those that hang.
    pub(super) fn end_transactions(&mut self) {
        for partition in self.world.broker.open_partitions() {
            if !self.hanging.contains(&partition) && self.chance.random_bool(0.4) {
                let is_committed = self.chance.random_bool(0.4);
                self.producer.end(partition, is_committed);
            }
        }
    }

    /// Other brokers lead, now and then one that lacks records. Where that is a loss that is refused, it is accepted after
    /// a while.
    pub(super) fn change_leaders(&mut self) {
        let partition = self.any_partition();
        if self.chance.random_bool(0.05) {
            self.world.broker.elect(partition);
        }
        if self.chance.random_range(0..100) < self.hazards.unclean_elections {
            let offsets = self.chance.random_range(1..25);
            self.world.broker.cut(partition, offsets);
        }
        if self.world.has_refused_loss() && self.chance.random_bool(0.15) {
            self.world.accept_loss();
        }
    }

    /// Everything is down for longer than the topic keeps its records.
    pub(super) async fn lose_records(&mut self) {
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
            let held = ["events", "avg_speed"].map(|t| self.world.next_offset(t, partition));
            // What only one of the tables holds would be a loss to the other alone.
            if held[0] == held[1] {
                let permille = self.chance.random_range(300..=1_000);
                self.world.broker.lose(partition, held[0], permille);
            }
        }
    }
}
