//! What the records of a sample would become, for people.

use std::collections::BTreeMap;
use std::fmt;

use lake_config::Settings;
use lake_model::{DeadLetterReason, EventFormat};

use super::proposal::{Proposal, propose};
use super::sample::SampledRecord;
use crate::dead_share::{Tally, example, remedy};

/// What the records of a sample would become.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    topic: String,
    max_dead_share: f64,
    now: Tally,
    /// The first event, as `run` would read it.
    event: Option<String>,
    /// By reason, where the first such record is, what is wrong with it, and what to change.
    problems: BTreeMap<DeadLetterReason, (String, String)>,
    proposal: Proposal,
    /// What they would become with what is proposed.
    then: Tally,
}

impl CheckReport {
    /// The report on `sampled`.
    pub(super) fn of(settings: &Settings, sampled: &[SampledRecord]) -> CheckReport {
        let format = &settings.event;
        let now = tally(sampled, format);
        let payloads: Vec<&[u8]> =
            sampled.iter().filter_map(|record| record.payload.as_deref()).collect();
        let proposal =
            if now.dead.is_empty() { Proposal::default() } else { propose(&payloads, format) };
        let then = tally(sampled, &proposal.apply(format));
        let mut problems = BTreeMap::new();
        for record in sampled {
            if let Err(rejection) = record.decode(format) {
                let example = example(record.partition, record.offset, &rejection.detail);
                problems.entry(rejection.reason).or_insert_with(|| {
                    (example, remedy(rejection.reason, &rejection.detail, format))
                });
            }
        }
        let event = sampled.iter().find_map(|record| record.decode(format).ok()).map(|fields| {
            format!(
                "camera {:?} at {}, {} km/h",
                fields.camera_id, fields.event_time, fields.speed_kmh
            )
        });
        CheckReport {
            topic: settings.kafka.topic.clone(),
            max_dead_share: settings.speed.max_dead_share,
            now,
            event,
            problems,
            proposal,
            then,
        }
    }

    /// Whether no more records would become dead letters than `speed.max_dead_share` allows.
    pub fn is_ok(&self) -> bool {
        self.now.dead_share() <= self.max_dead_share
    }

    fn records(&self) -> u64 {
        self.now.events + self.now.dead_total()
    }
}

fn tally(sampled: &[SampledRecord], format: &EventFormat) -> Tally {
    let mut tally = Tally::default();
    for record in sampled {
        match record.decode(format) {
            Ok(_) => tally.events += 1,
            Err(rejection) => *tally.dead.entry(rejection.reason).or_default() += 1,
        }
    }
    tally
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (records, topic) = (self.records(), &self.topic);
        if records == 0 {
            return writeln!(f, "topic {topic} holds no records: there is nothing to look at yet");
        }
        writeln!(
            f,
            "of the latest {records} records of topic {topic}, {} would become events and {} dead letters",
            self.now.events,
            self.now.dead_total()
        )?;
        if let Some(event) = &self.event {
            writeln!(f, "an event: {event}")?;
        }
        for (reason, (example, remedy)) in &self.problems {
            let count = self.now.dead.get(reason).copied().unwrap_or_default();
            writeln!(f, "{reason}: {count}, such as {example}; {remedy}")?;
        }
        for finding in &self.proposal.findings {
            writeln!(f, "{finding}")?;
        }
        if !self.proposal.fields.is_empty() {
            writeln!(
                f,
                "\nproposed settings, with which {} of {records} would become events:\n",
                self.then.events
            )?;
            writeln!(f, "[event]")?;
            for (key, field) in &self.proposal.fields {
                writeln!(f, "{key} = {field:?}")?;
            }
        }
        writeln!(f, "\nnothing was landed and no offset was committed")
    }
}

#[cfg(test)]
mod tests {
    use lake_model::{KafkaPartition, Offset, Timestamp};

    use super::*;

    fn sampled(payloads: &[&str]) -> Vec<SampledRecord> {
        let record = |(offset, payload): (i64, &&str)| SampledRecord {
            partition: KafkaPartition(1),
            offset: Offset(offset),
            kafka_timestamp: Timestamp::from_micros(1_800_000_000_000_000),
            payload: Some(payload.as_bytes().to_vec()),
        };
        (40..).zip(payloads).map(record).collect()
    }

    #[test]
    fn other_field_names_are_reported_with_settings_to_copy() {
        let other = r#"{"cam":"K","ts":"2025-04-05T10:15:30Z","v":85.2}"#;
        let report = CheckReport::of(&Settings::default(), &sampled(&[other, other]));
        assert!(!report.is_ok());
        let text = report.to_string();
        for part in [
            "of the latest 2 records of topic camera-events, 0 would become events and 2 dead letters",
            "missing_field: 2, such as offset 40 of partition 1: the field kvfv_id is missing",
            "with which 2 of 2 would become events",
            "[event]\n",
            "camera_field = \"cam\"\n",
            "timestamp_field = \"ts\"\n",
            "speed_field = \"v\"\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn good_records_are_in_order_and_an_empty_topic_is_too() {
        let good = r#"{"kvfv_id":"K","timestamp":"2025-04-05T10:15:30Z","vehicle_speed":85.2}"#;
        let report = CheckReport::of(&Settings::default(), &sampled(&[good]));
        assert!(
            report.is_ok() && report.to_string().contains("an event: camera \"K\""),
            "{report}"
        );
        let nothing = CheckReport::of(&Settings::default(), &[]);
        assert!(nothing.is_ok() && nothing.to_string().contains("holds no records"), "{nothing}");
    }
}
