//! Which fields of a topic's records may hold the camera, the time, the speed and the plate: by their values first, and by
//! their names where several fit.

use std::collections::BTreeMap;

use lake_model::{EventFormat, Timestamp};
use serde_json::{Map, Value};

/// A field is proposed if this part of the records has a fitting value in it.
const FITS: f64 = 0.9;

/// Words in the names of fields, in the order in which they are preferred.
const CAMERA: [&str; 9] =
    ["camera", "kvfv", "cam", "device", "sensor", "complex", "station", "source", "id"];
const TIME: [&str; 7] = ["event_time", "timestamp", "datetime", "time", "date", "ts", "when"];
const SPEED: [&str; 6] = ["speed", "velocity", "skorost", "скорость", "kmh", "v"];
const PLATE: [&str; 6] = ["plate", "license", "grz", "номер", "registration", "number"];

/// A key, the field that it names now, words in the names of such fields, and whether a value fits.
type Wanted<'a> = (&'static str, &'a str, &'a [&'a str], fn(&Value) -> bool);

/// What is proposed, and what no setting can change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proposal {
    /// Keys of `[event]` with the fields that they should name.
    pub(super) fields: Vec<(&'static str, String)>,
    /// What is found besides, for people.
    pub(super) findings: Vec<String>,
}

impl Proposal {
    /// The format with what is proposed.
    pub(super) fn apply(&self, format: &EventFormat) -> EventFormat {
        let mut format = format.clone();
        for (key, field) in &self.fields {
            let name = field.as_str().into();
            match *key {
                "camera_field" => format.camera_field = name,
                "timestamp_field" => format.timestamp_field = name,
                "speed_field" => format.speed_field = name,
                _ => format.plate_field = name,
            }
        }
        format
    }
}

/// What the records that `payloads` hold need.
pub(super) fn propose(payloads: &[&[u8]], format: &EventFormat) -> Proposal {
    let objects: Vec<Map<String, Value>> =
        payloads.iter().filter_map(|payload| serde_json::from_slice(payload).ok()).collect();
    let mut proposal = Proposal::default();
    if objects.is_empty() {
        if !payloads.is_empty() {
            proposal.findings.push(
                "no record is a JSON object; see that kafka.topic is the right one".to_owned(),
            );
        }
        return proposal;
    }
    let fields = Fields::of(&objects);
    let mut taken: Vec<String> = Vec::new();
    let wanted: [Wanted<'_>; 4] = [
        ("timestamp_field", &format.timestamp_field, &TIME, is_time),
        ("speed_field", &format.speed_field, &SPEED, is_speed),
        ("camera_field", &format.camera_field, &CAMERA, is_camera),
        ("plate_field", &format.plate_field, &PLATE, Value::is_string),
    ];
    for (key, now, words, fits) in wanted {
        if fields.share(now, fits) >= FITS {
            taken.push(now.to_owned());
        } else if let Some(found) = fields.best(words, fits, &taken) {
            taken.push(found.clone());
            proposal.fields.push((key, found));
        } else if key != "plate_field" {
            proposal.findings.push(fields.why_none(key, now, words));
        }
    }
    proposal
}

/// The members of objects, by name.
struct Fields<'a> {
    objects: usize,
    values: BTreeMap<&'a str, Vec<&'a Value>>,
}

impl<'a> Fields<'a> {
    fn of(objects: &'a [Map<String, Value>]) -> Fields<'a> {
        let mut values: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (name, value) in objects.iter().flatten() {
            values.entry(name).or_default().push(value);
        }
        Fields { objects: objects.len(), values }
    }

    /// The part of the objects in which the field `name` has a fitting value.
    fn share(&self, name: &str, fits: fn(&Value) -> bool) -> f64 {
        let fitting =
            self.values.get(name).map_or(0, |values| values.iter().filter(|v| fits(v)).count());
        fitting as f64 / self.objects as f64
    }

    /// The field that fits and whose name has the most preferred word, or the only one that fits.
    fn best(&self, words: &[&str], fits: fn(&Value) -> bool, taken: &[String]) -> Option<String> {
        let fitting = self.values.keys().filter(|name| {
            self.share(name, fits) >= FITS && !taken.iter().any(|taken| taken == *name)
        });
        let rank = |name: &str| rank(words, name).unwrap_or(words.len());
        let mut ranked: Vec<(usize, &str)> = fitting.map(|name| (rank(name), *name)).collect();
        ranked.sort_unstable();
        match *ranked {
            [(of_first, first), ..] if of_first < words.len() => Some(first.to_owned()),
            [(_, only)] => Some(only.to_owned()),
            _ => None,
        }
    }

    /// Why no field can be named by `key`.
    fn why_none(&self, key: &str, now: &str, words: &[&str]) -> String {
        let named = self
            .values
            .iter()
            .filter_map(|(name, values)| Some((rank(words, name)?, name, values.first()?)));
        if let Some((_, name, value)) = named.min_by_key(|(rank, ..)| *rank)
            && let Some(problem) = problem(key, value)
        {
            return format!("{name:?} may be meant by event.{key}, but holds {problem}");
        }
        if let Some((outer, _)) =
            self.values.iter().find(|(_, values)| values.iter().all(|value| value.is_object()))
        {
            return format!(
                "no field can be event.{key} (now {now:?}); {outer:?} is an object with fields of its own, and only those \
                 of the record itself can be named: have them sent there"
            );
        }
        let names = self.values.keys().copied().collect::<Vec<_>>().join(", ");
        format!("no field can be event.{key} (now {now:?}); the records have {names}")
    }
}

/// The place of the first word that `name` has.
fn rank(words: &[&str], name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    let parts: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    // Short words would be found within others.
    let has =
        |word: &&str| parts.contains(word) || (word.chars().count() > 2 && name.contains(*word));
    words.iter().position(has)
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| Timestamp::parse_event(text).is_some())
}

fn is_speed(value: &Value) -> bool {
    value.as_f64().is_some_and(|speed| (0.0..=400.0).contains(&speed))
}

fn is_camera(value: &Value) -> bool {
    value.as_str().is_some_and(|id| lake_model::CameraId::is_valid(id) && !is_time(value))
}

/// What is wrong with `value` for `key`, where the kind of mistake can be seen.
fn problem(key: &str, value: &Value) -> Option<String> {
    match (key, value) {
        ("timestamp_field", Value::Number(number)) => {
            let unit = epoch_unit(number.as_f64()?)?;
            Some(format!(
                "{number}, {unit} since 1970: times are read as RFC 3339, such as 2025-04-05T10:15:30Z"
            ))
        }
        ("timestamp_field", Value::String(text)) => Some(format!(
            "{text:?}: times are read as RFC 3339 with an offset, such as 2025-04-05T10:15:30Z"
        )),
        ("speed_field", Value::String(text)) => {
            Some(format!("{text:?}, a text: speeds are read as JSON numbers in km/h"))
        }
        ("camera_field", Value::Number(number)) => {
            Some(format!("{number}, a number: camera ids are read as texts"))
        }
        _ => None,
    }
}

/// The unit of a time since 1970 that is between 2001 and 2100 in it.
fn epoch_unit(number: f64) -> Option<&'static str> {
    let units =
        [(1.0, "seconds"), (1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")];
    units
        .into_iter()
        .find(|(size, _)| (1e9..4.1e9).contains(&(number / size)))
        .map(|(_, unit)| unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(records: &[&str]) -> Proposal {
        let payloads: Vec<&[u8]> = records.iter().map(|record| record.as_bytes()).collect();
        propose(&payloads, &lake_config::Settings::default().event)
    }

    fn fields(records: &[&str]) -> Vec<(&'static str, String)> {
        let mut fields = proposed(records).fields;
        fields.sort();
        fields
    }

    fn named(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        pairs.iter().map(|(key, field)| (*key, (*field).to_owned())).collect()
    }

    #[test]
    fn fields_are_found_by_their_values_and_by_their_names() {
        let record = r#"{"id":17,"device_id":"C1","seen_at":"2025-04-05T10:15:30Z","lane":2,"speed_kmh":85.2,"plate":"A1"}"#;
        let all = [
            ("camera_field", "device_id"),
            ("plate_field", "plate"),
            ("speed_field", "speed_kmh"),
            ("timestamp_field", "seen_at"),
        ];
        assert_eq!(fields(&[record, record]), named(&all));
        let russian = r#"{"камера":"К1","время":"2025-04-05T10:15:30+03:00","скорость":85}"#;
        let all =
            [("camera_field", "камера"), ("speed_field", "скорость"), ("timestamp_field", "время")];
        assert_eq!(fields(&[russian]), named(&all));
    }

    #[test]
    fn what_is_good_stays_and_what_is_proposed_makes_events() {
        let record = r#"{"kvfv_id":"K","time":"2025-04-05T10:15:30Z","vehicle_speed":85.2}"#;
        assert_eq!(fields(&[record]), named(&[("timestamp_field", "time")]));
        let format = lake_config::Settings::default().event;
        let better = proposed(&[record]).apply(&format);
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        assert!(crate::decode::decode(Some(record.as_bytes()), now, &format).is_err());
        assert!(crate::decode::decode(Some(record.as_bytes()), now, &better).is_ok());
    }

    #[test]
    fn what_no_setting_can_change_is_said() {
        for (record, part) in [
            (
                r#"{"kvfv_id":"K","timestamp":1743848130000,"vehicle_speed":85}"#,
                "1743848130000, milliseconds since 1970",
            ),
            (
                r#"{"kvfv_id":"K","ts":1743848130,"vehicle_speed":85}"#,
                "\"ts\" may be meant by event.timestamp_field, but holds 1743848130, seconds",
            ),
            (
                r#"{"kvfv_id":"K","timestamp":"05.04.2025 10:15","vehicle_speed":85}"#,
                "RFC 3339 with an offset",
            ),
            (
                r#"{"kvfv_id":"K","timestamp":"2025-04-05T10:15:30Z","vehicle_speed":"85"}"#,
                "a text: speeds are read as JSON numbers",
            ),
            (
                r#"{"kvfv_id":7,"timestamp":"2025-04-05T10:15:30Z","vehicle_speed":85}"#,
                "7, a number: camera ids are read as texts",
            ),
            (r#"{"data":{"kvfv_id":"K"}}"#, "\"data\" is an object with fields of its own"),
            ("[1]", "no record is a JSON object"),
        ] {
            let findings = proposed(&[record]).findings.join("\n");
            assert!(findings.contains(part), "{part}: {findings}");
        }
        assert_eq!(proposed(&[]), Proposal::default());
    }
}
