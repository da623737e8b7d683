//! What a run did, printed as one line of JSON at its end.

use lake_model::Timestamp;
use serde::Serialize;

use crate::generator::{Delivery, Kind};

/// Counts of the records handed to the producer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records in all: events, duplicates and bad ones.
    pub produced: u64,
    /// Distinct events, late ones too.
    pub events: u64,
    /// Events that were held up on their way, by however little.
    pub late: u64,
    /// Exact repeats of earlier events.
    pub duplicates: u64,
    /// Records that can't be an event.
    pub bad: u64,
    /// Cameras simulated.
    pub cameras: u32,
    /// The least event time of the events.
    pub first_event_time: Option<String>,
    /// The greatest event time of the events.
    pub last_event_time: Option<String>,
    /// Where the records went.
    pub brokers: String,
    /// The topic they went to.
    pub topic: String,
    /// Records that Kafka did not accept.
    pub not_delivered: u64,
}

/// Counts a run as it goes.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: Summary,
    event_ms: Option<(i64, i64)>,
}

impl Tally {
    /// Counts a delivery that was handed to the producer.
    pub fn count(&mut self, delivery: &Delivery) {
        self.counts.produced += 1;
        match delivery.kind {
            Kind::Event => self.count_event(delivery),
            Kind::Late => {
                self.counts.late += 1;
                self.count_event(delivery);
            }
            Kind::Duplicate => self.counts.duplicates += 1,
            Kind::Bad(_) => self.counts.bad += 1,
        }
    }

    fn count_event(&mut self, delivery: &Delivery) {
        self.counts.events += 1;
        let ms = delivery.sighting.event_ms;
        let (first, last) = self.event_ms.unwrap_or((ms, ms));
        self.event_ms = Some((first.min(ms), last.max(ms)));
    }

    /// Records counted.
    pub fn produced(&self) -> u64 {
        self.counts.produced
    }

    /// Distinct events counted.
    pub fn events(&self) -> u64 {
        self.counts.events
    }

    /// The summary of a run with so many `cameras` that sent to `topic` at `brokers`.
    pub fn summary(&self, cameras: u32, brokers: &str, topic: &str, not_delivered: u64) -> Summary {
        let text = |ms: i64| Timestamp::from_millis(ms).to_string();
        Summary {
            cameras,
            first_event_time: self.event_ms.map(|(first, _)| text(first)),
            last_event_time: self.event_ms.map(|(_, last)| text(last)),
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            not_delivered,
            ..self.counts.clone()
        }
    }
}
