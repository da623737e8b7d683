//! The members of a payload's object: the four known ones as raw slices, the rest as `extra`.

use std::borrow::Cow;
use std::fmt;

use lake_model::DeadLetterReason;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{DecodeSettings, Rejection, reject, scan};

/// The deepest nesting that is decoded; the object itself is level 1.
const DEEPEST: usize = 128;

/// The members of an event's object.
#[derive(Default)]
pub(super) struct Members<'a> {
    pub(super) camera: Option<&'a RawValue>,
    pub(super) timestamp: Option<&'a RawValue>,
    pub(super) speed: Option<&'a RawValue>,
    pub(super) plate: Option<&'a RawValue>,
    /// The others as a JSON object, in order, as spelled.
    pub(super) extra: Option<String>,
}

/// Reads `text`, which must be one JSON object.
pub(super) fn members<'a>(
    text: &'a str,
    settings: &DecodeSettings,
) -> Result<Members<'a>, Rejection> {
    if scan::is_nested_deeper(text, DEEPEST) {
        let detail = format!("the value is nested deeper than {DEEPEST} levels");
        return reject(DeadLetterReason::NotJson, detail);
    }
    let is_object = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    if !is_object {
        return match parse::<IgnoredAny>(text) {
            Ok(_) => reject(DeadLetterReason::NotAnObject, "the payload is not a JSON object"),
            Err(detail) => reject(DeadLetterReason::NotJson, detail),
        };
    }
    let list: List<'a> = parse(text).or_else(|detail| reject(DeadLetterReason::NotJson, detail))?;
    sort_out(list, settings)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

fn sort_out<'a>(list: List<'a>, settings: &DecodeSettings) -> Result<Members<'a>, Rejection> {
    let mut members = Members::default();
    for (name, value) in list.0 {
        let known = if name == settings.camera_field {
            &mut members.camera
        } else if name == settings.timestamp_field {
            &mut members.timestamp
        } else if name == settings.speed_field {
            &mut members.speed
        } else if name == settings.plate_field {
            &mut members.plate
        } else {
            append(&mut members.extra, &name, value);
            continue;
        };
        if known.replace(value).is_some() {
            return reject(DeadLetterReason::NotJson, format!("the field {name} stands twice"));
        }
        if scan::has_lone_surrogate(value.get()) {
            let detail = format!("the field {name} holds half of a surrogate pair");
            return reject(DeadLetterReason::NotJson, detail);
        }
    }
    if let Some(extra) = &mut members.extra {
        extra.push('}');
    }
    Ok(members)
}

fn append(extra: &mut Option<String>, name: &str, value: &RawValue) {
    let separator = if extra.is_some() { ',' } else { '{' };
    let extra = extra.get_or_insert_default();
    extra.push(separator);
    extra.push_str(&serde_json::Value::from(name).to_string());
    extra.push(':');
    extra.push_str(value.get());
}

/// The members in order, repeated ones too.
struct List<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<'de>, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<'de>, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(List(members))
            }
        }
        deserializer.deserialize_map(ListVisitor)
    }
}

/// A member's name, borrowed where it is spelled without escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}
