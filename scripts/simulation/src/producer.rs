//! What cameras send: events about the present, late ones, repeated ones, and what can't be an event.

use std::sync::Arc;

use lake_model::{KafkaPartition, Timestamp};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::broker::Broker;
use crate::clock::Clock;
use crate::log::NewRecord;
use crate::trace::Trace;

/// Microseconds of a minute and of an hour.
pub const MINUTE_US: i64 = 60_000_000;
/// Microseconds of an hour.
pub const HOUR_US: i64 = 60 * MINUTE_US;

const CAMERAS: [&str; 6] = ["KV1", "KV2", "KV3", "А777", "camera with spaces", "KV10"];
const EMPTY_PLATE: &str = r#","plate_number":"","lane":2"#;
/// Members that say something of the plate, or nothing.
const PLATES: [&str; 5] = [
    "",
    r#","plate_number":null"#,
    r#","plate_number":"А123ВС77""#,
    EMPTY_PLATE,
    r#","plate_number":" ""#,
];
/// Events that may be sent once more.
const REMEMBERED: usize = 40;

/// The cameras.
pub struct Producer {
    broker: Arc<Broker>,
    clock: Arc<Clock>,
    trace: Trace,
    chance: SmallRng,
    sent: Vec<Sent>,
    records: u64,
}

/// An event that was sent.
#[derive(Clone)]
struct Sent {
    camera: &'static str,
    time: Timestamp,
    speed: String,
    plate: &'static str,
}

impl Sent {
    fn record(&self) -> NewRecord {
        let Sent { camera, time, speed, plate } = self;
        let payload = format!(
            r#"{{"kvfv_id":"{camera}","timestamp":"{time}","vehicle_speed":{speed}{plate}}}"#
        );
        keyed(camera, Some(payload.into_bytes()))
    }
}

impl Producer {
    /// Cameras that send to `broker`.
    pub fn new(broker: &Arc<Broker>, clock: &Arc<Clock>, trace: &Trace, chance: SmallRng) -> Self {
        let (broker, clock, trace) = (Arc::clone(broker), Arc::clone(clock), trace.clone());
        Producer { broker, clock, trace, chance, sent: Vec::new(), records: 0 }
    }

    /// Records sent so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// About `count` records as cameras send them, to the partitions of their keys.
    pub fn burst(&mut self, count: usize) {
        let partitions = self.broker.partitions();
        for _ in 0..count {
            let camera = self.camera();
            let place = if self.chance.random_bool(0.08) {
                self.chance.random_range(0..partitions.len())
            } else {
                camera.len() % partitions.len()
            };
            let record = self.record(camera);
            self.send(partitions[place], vec![record]);
        }
    }

    /// `count` events of the time `at_us`, give or take `spread_us`, to one partition.
    pub fn events_at(
        &mut self,
        partition: KafkaPartition,
        at_us: i64,
        spread_us: i64,
        count: usize,
    ) {
        for _ in 0..count {
            let camera = self.camera();
            let time_us = at_us + self.chance.random_range(-spread_us..=spread_us);
            let record = self.event(camera, time_us);
            self.send(partition, vec![record]);
        }
    }

    /// `count` events of that time from a producer that gives no timestamps, to one partition.
    pub fn events_without_timestamp(
        &mut self,
        partition: KafkaPartition,
        at_us: i64,
        count: usize,
    ) {
        for _ in 0..count {
            let camera = self.camera();
            let event = self.event(camera, at_us);
            self.send(partition, vec![NewRecord { has_timestamp: false, ..event }]);
        }
    }

    /// `count` records that can't be events, to one partition.
    pub fn bad_ones(&mut self, partition: KafkaPartition, count: usize) {
        for _ in 0..count {
            let camera = self.camera();
            let record = self.bad(camera);
            self.send(partition, vec![record]);
        }
    }

    /// Events just within and just beyond the lateness that is allowed, in microseconds, and of the watermark's own
    /// delay.
    pub fn at_the_edge(&mut self, partition: KafkaPartition, allowed_us: i64, delay_us: i64) {
        let end_us = (self.clock.now_us() - allowed_us).div_euclid(5 * MINUTE_US) * 5 * MINUTE_US;
        let edge_us = end_us + allowed_us + delay_us;
        for ahead_us in [0, 1] {
            for time_us in [edge_us + ahead_us, end_us - 1] {
                let camera = self.camera();
                let record = self.exactly(camera, time_us, "50".to_owned(), "");
                self.send(partition, vec![record]);
            }
        }
    }

    /// Many events of hours and days ago at once.
    pub fn storm_of_late_ones(&mut self, count: usize) {
        self.trace.count("late storm");
        let partitions = self.broker.partitions();
        for _ in 0..count {
            let camera = self.camera();
            let age_us = self.chance.random_range(HOUR_US..40 * HOUR_US);
            let place = self.chance.random_range(0..partitions.len());
            let record = self.event(camera, self.clock.now_us() - age_us);
            self.send(partitions[place], vec![record]);
        }
    }

    /// A transaction of some records in a partition, which is left open.
    pub fn begin(&mut self, partition: KafkaPartition, count: usize) {
        self.broker.begin(partition);
        let records = (0..count).map(|_| {
            let camera = self.camera();
            self.record(camera)
        });
        let records = records.collect();
        self.send(partition, records);
    }

    /// Ends the transaction of a partition, if one is open.
    pub fn end(&mut self, partition: KafkaPartition, is_committed: bool) {
        self.trace.count(if is_committed { "transaction" } else { "aborted transaction" });
        self.broker.end(partition, is_committed);
    }

    fn send(&mut self, partition: KafkaPartition, records: Vec<NewRecord>) {
        self.records += records.len() as u64;
        self.broker.append(partition, records);
    }

    fn camera(&mut self) -> &'static str {
        CAMERAS[self.chance.random_range(0..CAMERAS.len())]
    }

    fn record(&mut self, camera: &'static str) -> NewRecord {
        let now_us = self.clock.now_us();
        match self.chance.random_range(0..100) {
            0..6 => self.bad(camera),
            6..14 if !self.sent.is_empty() => self.repeated(),
            14..20 => {
                let age_us = self.chance.random_range(0..5 * HOUR_US);
                self.event(camera, now_us - age_us)
            }
            20..22 => {
                // Beyond what the setting lets pass, or just within.
                let ahead_us = self.chance.random_range(MINUTE_US..30 * MINUTE_US);
                self.event(camera, now_us + ahead_us)
            }
            _ => {
                let age_us = self.chance.random_range(0..20 * MINUTE_US);
                self.event(camera, now_us - age_us)
            }
        }
    }

    /// An event that was sent before: as it was, spelled otherwise, or with another plate, an empty one for none.
    fn repeated(&mut self) -> NewRecord {
        let mut event = self.sent[self.chance.random_range(0..self.sent.len())].clone();
        match self.chance.random_range(0..4) {
            0 if event.plate.is_empty() => event.plate = EMPTY_PLATE,
            0 => event.plate = PLATES[self.chance.random_range(0..PLATES.len())],
            1 if !event.speed.contains('.') => event.speed.push_str(".0"),
            _ => {}
        }
        event.record()
    }

    fn event(&mut self, camera: &'static str, time_us: i64) -> NewRecord {
        // On the minute, often enough for events that differ in nothing else.
        let time_us = if self.chance.random_bool(0.3) {
            time_us.div_euclid(MINUTE_US) * MINUTE_US
        } else {
            time_us
        };
        let speed = match self.chance.random_range(0..10) {
            0 => "0".to_owned(),
            1 => "400".to_owned(),
            2 => format!("{}", self.chance.random_range(20..140)),
            3 => format!("{:.5}", self.chance.random_range(0.0..200.0)),
            _ => format!("{:.1}", self.chance.random_range(20.0..160.0)),
        };
        let plate = PLATES[self.chance.random_range(0..PLATES.len())];
        self.exactly(camera, time_us, speed, plate)
    }

    fn exactly(
        &mut self,
        camera: &'static str,
        time_us: i64,
        speed: String,
        plate: &'static str,
    ) -> NewRecord {
        let event = Sent { camera, time: Timestamp::from_micros(time_us.max(0)), speed, plate };
        let record = event.record();
        self.sent.push(event);
        if self.sent.len() > REMEMBERED {
            self.sent.remove(0);
        }
        record
    }

    fn bad(&mut self, camera: &str) -> NewRecord {
        let now = Timestamp::from_micros(self.clock.now_us());
        let payload = match self.chance.random_range(0..9) {
            0 => return keyed(camera, None),
            1 => b"{".to_vec(),
            2 => vec![0xff, 0xfe],
            3 => b"[]".to_vec(),
            4 => format!(r#"{{"kvfv_id":"{camera}"}}"#).into_bytes(),
            5 => format!(r#"{{"kvfv_id":7,"timestamp":"{now}","vehicle_speed":1}}"#).into_bytes(),
            6 => format!(r#"{{"kvfv_id":"","timestamp":"{now}","vehicle_speed":1}}"#).into_bytes(),
            7 => br#"{"kvfv_id":"KV1","timestamp":"today","vehicle_speed":1}"#.to_vec(),
            _ => format!(r#"{{"kvfv_id":"{camera}","timestamp":"{now}","vehicle_speed":-1}}"#)
                .into_bytes(),
        };
        keyed(camera, Some(payload))
    }
}

fn keyed(camera: &str, payload: Option<Vec<u8>>) -> NewRecord {
    NewRecord { key: Some(camera.as_bytes().to_vec()), payload, has_timestamp: true }
}
