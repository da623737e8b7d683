//! What makes a record an event: the settings `event.*`, which decoding follows.

use std::fmt;
use std::ops::Deref;

/// What makes a record an event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFormat {
    /// The JSON field that holds the camera's id.
    pub camera_field: FieldName,
    /// The one that holds the event time.
    pub timestamp_field: FieldName,
    /// The one that holds the speed, in km/h.
    pub speed_field: FieldName,
    /// The one that may hold the plate number.
    pub plate_field: FieldName,
    /// The greatest speed that is accepted, in km/h.
    pub max_speed_kmh: f64,
    /// The longest payload that is accepted, in bytes.
    pub max_record_bytes: u64,
    /// How far an event time may lie after the record's Kafka timestamp, in microseconds.
    pub max_future_skew_us: i64,
}

/// The name of a JSON field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName {
    name: String,
    member: Option<String>,
}

impl FieldName {
    /// How an object's member of that name mostly begins: the name in quotes and the colon. `None` if JSON spells the
    /// name with escapes.
    #[inline]
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }
}

impl From<String> for FieldName {
    fn from(name: String) -> FieldName {
        let needs_escape = |byte: u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let member = (!name.bytes().any(needs_escape)).then(|| format!("\"{name}\":"));
        FieldName { name, member }
    }
}

impl From<&str> for FieldName {
    fn from(name: &str) -> FieldName {
        name.to_owned().into()
    }
}

impl Deref for FieldName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_begins_with_its_name_in_quotes_unless_json_spells_it_with_escapes() {
        let name = FieldName::from("скорость");
        assert_eq!((&*name, &*name.to_string()), ("скорость", "скорость"));
        assert_eq!(name.member(), Some("\"скорость\":"));
        for escaped in ["a\"b", "a\\b", "a\nb", "\u{1f}"] {
            assert_eq!(FieldName::from(escaped).member(), None, "{escaped:?}");
        }
        assert!(FieldName::from(" ").member().is_some());
    }
}
