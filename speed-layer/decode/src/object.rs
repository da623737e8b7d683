//! The members of a payload's object: the four known ones as raw slices, the rest as `extra`.

use std::borrow::Cow;
use std::fmt;

use lake_model::DeadLetterReason;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::de::StrRead;
use serde_json::value::RawValue;

use super::{EventFormat, Rejection, reject, scan};

type Json<'a> = serde_json::Deserializer<StrRead<'a>>;

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
pub(super) fn members<'a>(text: &'a str, settings: &EventFormat) -> Result<Members<'a>, Rejection> {
    if scan::is_nested_deeper(text, DEEPEST) {
        let detail = format!("the value is nested deeper than {DEEPEST} levels");
        return reject(DeadLetterReason::NotJson, detail);
    }
    let is_object = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    if !is_object {
        return match read(text, |json| IgnoredAny::deserialize(json)) {
            Ok(_) => reject(DeadLetterReason::NotAnObject, "the payload is not a JSON object"),
            Err(error) => reject(DeadLetterReason::NotJson, error.to_string()),
        };
    }
    read(text, |json| json.deserialize_map(Reader(settings)))
        .or_else(|error| reject(DeadLetterReason::NotJson, error.to_string()))
}

/// Reads one JSON text, with nothing after it.
fn read<'a, T>(
    text: &'a str,
    how: impl FnOnce(&mut Json<'a>) -> serde_json::Result<T>,
) -> serde_json::Result<T> {
    let mut json = Json::from_str(text);
    let value = how(&mut json)?;
    json.end()?;
    Ok(value)
}

impl<'a> Members<'a> {
    /// Takes a member, or says why there can't be an event in its object.
    fn take<E: Error>(
        &mut self,
        name: &str,
        value: &'a RawValue,
        settings: &EventFormat,
    ) -> Result<(), E> {
        let known = if name == &*settings.camera_field {
            &mut self.camera
        } else if name == &*settings.timestamp_field {
            &mut self.timestamp
        } else if name == &*settings.speed_field {
            &mut self.speed
        } else if name == &*settings.plate_field {
            &mut self.plate
        } else {
            append(&mut self.extra, name, value);
            return Ok(());
        };
        if known.replace(value).is_some() {
            return Err(E::custom(format_args!("the field {name} stands twice")));
        }
        if scan::has_lone_surrogate(value.get()) {
            return Err(E::custom(format_args!("the field {name} holds half of a surrogate pair")));
        }
        Ok(())
    }
}

fn append(extra: &mut Option<String>, name: &str, value: &RawValue) {
    let separator = if extra.is_some() { ',' } else { '{' };
    let extra = extra.get_or_insert_default();
    extra.push(separator);
    extra.push_str(&serde_json::Value::from(name).to_string());
    extra.push(':');
    extra.push_str(value.get());
}

/// Reads the object's members one by one, so that an object of very many takes no more memory than its text.
struct Reader<'s>(&'s EventFormat);

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some((Name(name), value)) = map.next_entry()? {
            members.take(&name, value, self.0)?;
        }
        if let Some(extra) = &mut members.extra {
            extra.push('}');
        }
        Ok(members)
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
