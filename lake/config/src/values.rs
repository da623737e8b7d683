//! The values of all keys: as given, or the defaults.
//!
//! A value that cannot be read is reported, and its default stands in for it, so that one run finds
//! every problem. The getters panic on a key that the table does not hold or that is of another
//! kind: that is a mistake in `super::sections`, which building the default settings brings out.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lake_model::CameraId;

use super::error::Problems;
use super::keys::{CAMERA_LIMITS, Family, KAFKA_PROPERTIES, KEYS, Key, STORAGE_OPTIONS};
use super::kind::Value;
use super::properties::Properties;
use super::source::{Entry, Given};

/// librdkafka's settings that the pipeline decides itself, and why.
const REFUSED_PROPERTIES: [(&str, &str); 9] = [
    ("enable.auto.commit", COMMITS),
    ("auto.commit.enable", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    ("auto.offset.reset", "an offset that is gone must stop the pipeline or be recorded as lost"),
    ("isolation.level", "records of aborted transactions must not become events"),
    ("enable.partition.eof", "the speed layer needs it to see how far a partition reaches"),
    ("group.id", "kafka.group is the setting for it"),
    ("bootstrap.servers", BROKERS),
    ("metadata.broker.list", BROKERS),
];
const COMMITS: &str = "offsets are committed only after the tables hold the records";
const BROKERS: &str = "kafka.brokers is the setting for it";

/// Every value, by key.
pub(super) struct Values {
    keys: HashMap<&'static str, Value>,
    kafka_properties: Properties,
    storage_options: Properties,
    camera_limits: BTreeMap<String, f64>,
}

impl Values {
    /// Reads every key of the table, and adds what is wrong to `problems`.
    pub(super) fn read(given: &Given, problems: &mut Problems) -> Values {
        Values {
            keys: KEYS.iter().map(|key| (key.name, read_key(key, given, problems))).collect(),
            kafka_properties: read_kafka_properties(given, problems),
            storage_options: read_storage_options(given, problems),
            camera_limits: read_camera_limits(given, problems),
        }
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.optional_text(key).unwrap_or_else(|| panic!("{key} has a default"))
    }

    pub(super) fn optional_text(&self, key: &str) -> Option<String> {
        match self.get(key) {
            Value::Text(text) => Some(text.clone()),
            Value::Nothing => None,
            other => panic!("{key} is no text: {other:?}"),
        }
    }

    /// The path at `key`, or `None` if it is the empty text.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.text(key)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// The address at `key`, or `None` if it is the empty text.
    pub(super) fn address(&self, key: &str) -> Option<SocketAddr> {
        let text = self.text(key);
        (!text.is_empty()).then(|| text.parse().expect("the rule of the key takes addresses only"))
    }

    pub(super) fn duration(&self, key: &str) -> Duration {
        self.optional_duration(key).unwrap_or_else(|| panic!("{key} has a default"))
    }

    pub(super) fn optional_duration(&self, key: &str) -> Option<Duration> {
        match self.get(key) {
            Value::Duration(duration) => Some(*duration),
            Value::Nothing => None,
            other => panic!("{key} is no duration: {other:?}"),
        }
    }

    pub(super) fn whole(&self, key: &str) -> u64 {
        match self.get(key) {
            Value::Whole(number) => *number,
            other => panic!("{key} is no whole number: {other:?}"),
        }
    }

    /// The number at `key` as a count of things in memory.
    pub(super) fn count(&self, key: &str) -> usize {
        usize::try_from(self.whole(key)).unwrap_or(usize::MAX)
    }

    pub(super) fn number(&self, key: &str) -> f64 {
        self.optional_number(key).unwrap_or_else(|| panic!("{key} has a default"))
    }

    pub(super) fn optional_number(&self, key: &str) -> Option<f64> {
        match self.get(key) {
            Value::Number(number) => Some(*number),
            Value::Nothing => None,
            other => panic!("{key} is no number: {other:?}"),
        }
    }

    pub(super) fn kafka_properties(&self) -> Properties {
        self.kafka_properties.clone()
    }

    pub(super) fn storage_options(&self) -> Properties {
        self.storage_options.clone()
    }

    pub(super) fn camera_limits(&self) -> BTreeMap<String, f64> {
        self.camera_limits.clone()
    }

    fn get(&self, key: &str) -> &Value {
        self.keys.get(key).unwrap_or_else(|| panic!("{key} is not in the table of keys"))
    }
}

fn read_key(key: &Key, given: &Given, problems: &mut Problems) -> Value {
    if let Some(entry) = given.get(key.name) {
        if let Some(value) = key.kind.read(entry) {
            return value;
        }
        let fault = format!("expected {}", key.kind.expected());
        problems.with_key(key.name, entry, fault, key.remedy());
    }
    match key.default {
        Some(default) => key.kind.read_text(default).expect("defaults are of their kind"),
        None => Value::Nothing,
    }
}

/// The names and values of a family whose names `check` finds nothing wrong with.
fn read_family(
    family: &'static Family,
    given: &Given,
    problems: &mut Problems,
    check: impl Fn(&str) -> Result<(), String>,
) -> Vec<(String, Value)> {
    let mut read = Vec::new();
    for (name, entry) in given.family(family.prefix) {
        let key = format!("{}{name}", family.prefix);
        if is_empty_table(entry) {
            continue;
        }
        match (check(name), family.kind.read(entry)) {
            (Err(fault), _) => problems.with_key(&key, entry, fault, "remove it"),
            (Ok(()), None) => {
                let fault = format!("expected {}", family.kind.expected());
                problems.with_key(&key, entry, fault, family.remedy(name));
            }
            (Ok(()), Some(value)) => read.push((name.to_owned(), value)),
        }
    }
    read
}

fn read_kafka_properties(given: &Given, problems: &mut Problems) -> Properties {
    let check = |name: &str| match REFUSED_PROPERTIES.iter().find(|(refused, _)| *refused == name) {
        Some((_, reason)) => Err(format!("expected no such property, because {reason}")),
        None if name.is_empty() => Err("expected the name of a librdkafka property".to_owned()),
        None => Ok(()),
    };
    read_family(&KAFKA_PROPERTIES, given, problems, check).into_iter().filter_map(as_text).collect()
}

fn read_storage_options(given: &Given, problems: &mut Problems) -> Properties {
    let check = |name: &str| match name {
        "" => Err("expected the name of an option".to_owned()),
        _ => Ok(()),
    };
    read_family(&STORAGE_OPTIONS, given, problems, check).into_iter().filter_map(as_text).collect()
}

fn read_camera_limits(given: &Given, problems: &mut Problems) -> BTreeMap<String, f64> {
    let check = |name: &str| match CameraId::is_valid(name) {
        true => Ok(()),
        false => Err("expected a camera id of 1 to 128 bytes, not \".\" or \"..\"".to_owned()),
    };
    read_family(&CAMERA_LIMITS, given, problems, check)
        .into_iter()
        .filter_map(|(camera, value)| match value {
            Value::Number(kmh) => Some((camera, kmh)),
            _ => None,
        })
        .collect()
}

fn as_text((name, value): (String, Value)) -> Option<(String, String)> {
    match value {
        Value::Text(text) => Some((name, text)),
        _ => None,
    }
}

fn is_empty_table(entry: &Entry) -> bool {
    entry.value.as_table().is_some_and(|table| table.is_empty())
}
