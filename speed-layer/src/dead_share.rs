//! The share of records that become dead letters: watched while they come, and warned of early, with an example and what
//! to change. A pipeline whose field names are wrong otherwise looks healthy: everything is committed.
//!
//! Shares are of the last one to two minutes, so that one that rises is seen however much went well before.

use std::collections::BTreeMap;
use std::time::Duration;

use lake_config::Settings;
use lake_model::{DeadLetter, DeadLetterReason, EventFormat, KafkaPartition, Offset};
use lake_runtime::Readiness;
use tokio::time::Instant;

use crate::decode::DecodedBatch;

/// How long records count towards the share, once or twice; and the time from one warning to the next.
const SPAN: Duration = Duration::from_secs(60);
/// Fewer records than these say nothing about a share.
const FEWEST: u64 = 10;

/// Records by what they became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that are events.
    pub events: u64,
    /// Those that are none, by reason.
    pub dead: BTreeMap<DeadLetterReason, u64>,
}

impl Tally {
    /// All that are no events.
    pub fn dead_total(&self) -> u64 {
        self.dead.values().sum()
    }

    /// The part of the records that are no events, from 0 to 1; 0 where there are none.
    pub fn dead_share(&self) -> f64 {
        match self.dead_total() {
            0 => 0.0,
            dead => dead as f64 / (dead + self.events) as f64,
        }
    }

    /// The reasons with their shares of all records, the most frequent first: `missing_field 98.0 %, empty 1.0 %`.
    pub fn by_reason(&self) -> String {
        let all = (self.events + self.dead_total()).max(1) as f64;
        let mut reasons: Vec<_> = self.dead.iter().filter(|(_, count)| **count > 0).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let texts = reasons
            .into_iter()
            .map(|(reason, count)| format!("{reason} {:.1} %", 100.0 * *count as f64 / all));
        texts.collect::<Vec<_>>().join(", ")
    }

    /// The reason of most of them.
    fn main_reason(&self) -> Option<DeadLetterReason> {
        self.dead.iter().max_by_key(|(_, count)| **count).map(|(reason, _)| *reason)
    }

    fn add(&mut self, other: &Tally) {
        self.events += other.events;
        for (reason, count) in &other.dead {
            *self.dead.entry(*reason).or_default() += count;
        }
    }
}

/// Watches the share.
#[derive(Debug)]
pub struct DeadShare {
    format: EventFormat,
    limit: f64,
    since: Instant,
    former: Tally,
    current: Tally,
    /// By reason, where the latest one is and what is wrong with it.
    examples: BTreeMap<DeadLetterReason, String>,
    warned_at: Option<Instant>,
}

impl DeadShare {
    /// Nothing has come yet.
    pub fn new(settings: &Settings) -> DeadShare {
        metrics::gauge!("lambdalake_speed_max_dead_share").set(settings.speed.max_dead_share);
        DeadShare {
            format: settings.event.clone(),
            limit: settings.speed.max_dead_share,
            since: Instant::now(),
            former: Tally::default(),
            current: Tally::default(),
            examples: BTreeMap::new(),
            warned_at: None,
        }
    }

    /// Counts the records of a batch.
    pub fn observe(&mut self, batch: &DecodedBatch) {
        let letters = batch.dead_letters();
        self.current.events += (batch.len() - letters.len()) as u64;
        for letter in letters {
            *self.current.dead.entry(letter.reason).or_default() += 1;
        }
        let latest: BTreeMap<_, _> = letters.iter().map(|letter| (letter.reason, letter)).collect();
        self.examples
            .extend(latest.into_iter().map(|(reason, letter)| (reason, of_letter(letter))));
    }

    /// Sets the metric and whether the program is ready, and warns where the share is above the setting, once a minute at most.
    pub fn review(&mut self, now: Instant, readiness: &Readiness) {
        let recent = self.recent();
        metrics::gauge!("lambdalake_speed_dead_share").set(recent.dead_share());
        let problem = self.problem(&recent);
        if let Some(problem) = problem.as_deref().filter(|_| self.is_warning_due(now)) {
            tracing::warn!("{problem}");
            self.warned_at = Some(now);
        }
        readiness.set("dead letters", problem);
        if now.duration_since(self.since) >= SPAN {
            self.since = now;
            self.former = std::mem::take(&mut self.current);
        }
    }

    fn recent(&self) -> Tally {
        let mut recent = self.former.clone();
        recent.add(&self.current);
        recent
    }

    fn is_warning_due(&self, now: Instant) -> bool {
        self.warned_at.is_none_or(|at| now.duration_since(at) >= SPAN)
    }

    /// What is wrong where too many of the `recent` records are no events.
    fn problem(&self, recent: &Tally) -> Option<String> {
        let all = recent.events + recent.dead_total();
        if all < FEWEST || recent.dead_share() <= self.limit {
            return None;
        }
        let reason = recent.main_reason()?;
        let example = self.examples.get(&reason).map_or("", String::as_str);
        Some(format!(
            "{:.1} % of the last {all} records are no events and become dead letters, more than speed.max_dead_share = {}: \
             {}; for example {example}; {}, or run `speed-layer check`, which proposes settings",
            100.0 * recent.dead_share(),
            self.limit,
            recent.by_reason(),
            remedy(reason, example, &self.format),
        ))
    }
}

fn of_letter(letter: &DeadLetter) -> String {
    example(letter.kafka_partition, letter.kafka_offset, &letter.detail)
}

/// Where a record is, and what is wrong with it.
pub fn example(partition: KafkaPartition, offset: Offset, detail: &str) -> String {
    format!("offset {offset} of partition {partition}: {detail}")
}

/// What to change where records are refused for `reason`, with that detail.
pub fn remedy(reason: DeadLetterReason, detail: &str, format: &EventFormat) -> String {
    use DeadLetterReason::{
        BadCameraId, BadSpeed, BadTimestamp, Empty, FutureEventTime, MissingField, NotAnObject,
        NotJson, NotUtf8, TooLarge, WrongType,
    };
    let field_key = || {
        let fields = [
            ("event.camera_field", &format.camera_field),
            ("event.timestamp_field", &format.timestamp_field),
            ("event.speed_field", &format.speed_field),
            ("event.plate_field", &format.plate_field),
        ];
        let named = |name: &str| {
            detail.split(|c: char| c.is_whitespace() || c == ':').any(|word| word == name)
        };
        fields.into_iter().find(|(_, field)| named(field))
    };
    match reason {
        MissingField | WrongType => match field_key() {
            Some((key, field)) => {
                format!("set {key} (now {:?}) to the field that holds it", &**field)
            }
            None => {
                "set event.camera_field, event.timestamp_field and event.speed_field".to_owned()
            }
        },
        BadCameraId => format!("set event.camera_field (now {:?})", &*format.camera_field),
        BadTimestamp => format!(
            "set event.timestamp_field (now {:?}), or send RFC 3339 times",
            &*format.timestamp_field
        ),
        BadSpeed => format!(
            "raise event.max_speed_kmh (now {}) or set event.speed_field (now {:?})",
            format.max_speed_kmh, &*format.speed_field
        ),
        TooLarge => format!("raise event.max_record_bytes (now {})", format.max_record_bytes),
        FutureEventTime => "correct the cameras' clocks, or raise event.max_future_skew".to_owned(),
        Empty | NotUtf8 | NotJson | NotAnObject => {
            "correct kafka.topic, or send one JSON object a record".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use lake_model::Timestamp;

    use super::*;

    const GOOD: &str = r#"{"kvfv_id":"K","timestamp":"2025-04-05T10:15:30Z","vehicle_speed":85.2}"#;
    const OTHER: &str = r#"{"cam":"K","timestamp":"2025-04-05T10:15:30Z","vehicle_speed":85.2}"#;

    fn batch(payloads: &[(&str, usize)]) -> DecodedBatch {
        let mut batch = DecodedBatch::new(KafkaPartition(2), 0);
        let all =
            payloads.iter().flat_map(|(payload, count)| std::iter::repeat_n(*payload, *count));
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        for (offset, payload) in (7..).zip(all) {
            let format = Settings::default().event;
            batch.push(Offset(offset), now, None, Some(payload.as_bytes()), &format);
        }
        batch
    }

    #[tokio::test]
    async fn a_share_above_the_setting_is_a_problem_with_reason_example_and_key() {
        let (mut share, readiness) = (DeadShare::new(&Settings::default()), Readiness::default());
        let start = Instant::now();
        share.observe(&batch(&[(OTHER, 9)]));
        share.review(start, &readiness);
        assert_eq!(readiness.problem(), None, "too few to say");
        share.observe(&batch(&[(GOOD, 1), ("{", 1)]));
        share.review(start, &readiness);
        let problem = readiness.problem().expect("most are dead letters");
        for part in [
            "90.9 % of the last 11 records",
            "speed.max_dead_share = 0.1",
            "missing_field 81.8 %, not_json 9.1 %",
            "offset 15 of partition 2: the field kvfv_id is missing",
            "set event.camera_field (now \"kvfv_id\")",
            "speed-layer check",
        ] {
            assert!(problem.contains(part), "{part}: {problem}");
        }
    }

    #[tokio::test]
    async fn a_problem_is_warned_of_once_a_minute() {
        let (mut share, readiness) = (DeadShare::new(&Settings::default()), Readiness::default());
        let start = Instant::now();
        share.observe(&batch(&[(OTHER, 100)]));
        assert!(share.is_warning_due(start));
        share.review(start, &readiness);
        assert!(!share.is_warning_due(start + SPAN / 2));
        assert!(share.is_warning_due(start + SPAN));
    }

    #[tokio::test]
    async fn the_example_is_of_the_main_reason_whatever_comes_last() {
        let mut share = DeadShare::new(&Settings::default());
        share.observe(&batch(&[(OTHER, 19), ("{", 1)]));
        let problem = share.problem(&share.recent()).expect("all are dead letters");
        assert!(problem.contains("offset 25 of partition 2: the field kvfv_id"), "{problem}");
    }

    #[tokio::test]
    async fn what_was_long_ago_does_not_count() {
        let (mut share, readiness) = (DeadShare::new(&Settings::default()), Readiness::default());
        let start = Instant::now();
        share.observe(&batch(&[(OTHER, 100)]));
        share.review(start + SPAN, &readiness);
        assert!(share.recent().dead_share() > 0.99);
        assert!(readiness.problem().is_some());
        share.observe(&batch(&[(GOOD, 100)]));
        share.review(start + 2 * SPAN, &readiness);
        share.review(start + 3 * SPAN, &readiness);
        assert!(share.recent().dead_share() < 0.01);
        assert_eq!(readiness.problem(), None);
    }

    #[test]
    fn every_reason_has_a_remedy() {
        for reason in DeadLetterReason::ALL {
            assert!(!remedy(reason, "", &Settings::default().event).is_empty());
        }
    }
}
