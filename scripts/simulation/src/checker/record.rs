//! What a record has to become, by the words of docs/contract.md: an event, or a dead letter with the first reason that
//! applies.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::truth::TrueSettings;

/// The fields of an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fields {
    pub(super) camera: String,
    pub(super) time_us: i64,
    pub(super) speed_kmh: f64,
    pub(super) plate: Option<String>,
    /// The remaining members, in order, with their values as spelled.
    pub(super) extra: Vec<(String, String)>,
}

const KNOWN: [&str; 4] = ["kvfv_id", "timestamp", "vehicle_speed", "plate_number"];
const DEEPEST: usize = 128;
/// 9999-01-01T00:00:00Z, beyond which there are no event times.
const YEAR_9999_US: i64 = 253_370_764_800_000_000;

/// The event that a payload is, or the reason why it is none, to a process that accepts speeds up to that.
pub(super) fn parse(
    payload: Option<&[u8]>,
    kafka_timestamp_us: i64,
    settings: &TrueSettings,
    max_speed_kmh: f64,
) -> Result<Fields, &'static str> {
    let payload = payload.filter(|payload| !payload.is_empty()).ok_or("empty")?;
    if payload.len() as u64 > settings.max_record_bytes {
        return Err("too_large");
    }
    let text = std::str::from_utf8(payload).map_err(|_| "not_utf8")?;
    let members = members(text)?;
    let one = |name: &str| members.iter().find(|(member, _)| member == name).map(|(_, raw)| &**raw);
    let [camera, time, speed, plate] = KNOWN.map(one);
    let (camera, time, speed) = (
        camera.ok_or("missing_field")?,
        time.ok_or("missing_field")?,
        speed.ok_or("missing_field")?,
    );
    let (camera, time, speed) = (string(camera)?, string(time)?, number(speed)?);
    let plate = match plate.map(RawValue::get) {
        None | Some("null") => None,
        Some(_) => plate.map(string).transpose()?,
    };
    if !(1..=128).contains(&camera.len()) || camera == "." || camera == ".." {
        return Err("bad_camera_id");
    }
    let time_us = timestamp(&time).ok_or("bad_timestamp")?;
    if !(0.0..=max_speed_kmh).contains(&speed) {
        return Err("bad_speed");
    }
    let is_ahead =
        kafka_timestamp_us != 0 && time_us - kafka_timestamp_us > settings.max_future_skew_us;
    if is_ahead || time_us > YEAR_9999_US {
        return Err("future_event_time");
    }
    let others = members.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    let extra = others.map(|(name, raw)| (name.clone(), compact(raw.get()))).collect();
    Ok(Fields { camera, time_us, speed_kmh: speed, plate, extra })
}

/// Members of an object with their values as spelled; `None` if the text is no object.
pub(super) fn members_of(text: &str) -> Option<Vec<(String, String)>> {
    let list: List = serde_json::from_str(text).ok()?;
    Some(list.0.into_iter().map(|(name, raw)| (name, compact(raw.get()))).collect())
}

fn members(text: &str) -> Result<Vec<(String, Box<RawValue>)>, &'static str> {
    if depth(text) > DEEPEST || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Err("not_json");
    }
    if !text.trim_start().starts_with('{') {
        return Err("not_an_object");
    }
    let List(members) = serde_json::from_str(text).map_err(|_| "not_json")?;
    for name in KNOWN {
        let values: Vec<_> = members.iter().filter(|(member, _)| member == name).collect();
        if values.len() > 1 || values.iter().any(|(_, raw)| has_lone_surrogate(raw.get())) {
            return Err("not_json");
        }
    }
    Ok(members)
}

/// How deep arrays and objects are nested.
fn depth(text: &str) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    for (is_inside, character) in outside_strings(text) {
        match character {
            '{' | '[' if !is_inside => {
                now += 1;
                deepest = deepest.max(now);
            }
            '}' | ']' if !is_inside => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The characters, each with whether it is inside a string.
fn outside_strings(text: &str) -> impl Iterator<Item = (bool, char)> {
    let (mut is_inside, mut is_escaped) = (false, false);
    text.chars().map(move |character| {
        let was_inside = is_inside;
        if is_escaped {
            is_escaped = false;
        } else if is_inside && character == '\\' {
            is_escaped = true;
        } else if character == '"' {
            is_inside = !is_inside;
        }
        (was_inside, character)
    })
}

/// The value without the white space between its parts.
fn compact(raw: &str) -> String {
    let kept = outside_strings(raw).filter(|(is_inside, c)| *is_inside || !c.is_ascii_whitespace());
    kept.map(|(_, character)| character).collect()
}

fn has_lone_surrogate(raw: &str) -> bool {
    let units: Vec<Option<u16>> = raw
        .match_indices('\\')
        .filter(|(at, _)| raw[..*at].bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0)
        .map(|(at, _)| raw.get(at + 2..at + 6).filter(|_| raw[at + 1..].starts_with('u')))
        .map(|hex| hex.and_then(|hex| u16::from_str_radix(hex, 16).ok()))
        .collect();
    let surrogates = units.into_iter().flatten().filter(|unit| (0xd800..0xe000).contains(unit));
    // Pairs in JSON stand side by side; text between halves makes strings that serde_json refuses.
    let is_refused = raw.starts_with('"') && serde_json::from_str::<String>(raw).is_err();
    is_refused || char::decode_utf16(surrogates).any(|decoded| decoded.is_err())
}

fn string(raw: &RawValue) -> Result<String, &'static str> {
    serde_json::from_str(raw.get()).map_err(|_| "wrong_type")
}

/// The number as a double, infinite if it is too great for one. Negative zero is zero.
fn number(raw: &RawValue) -> Result<f64, &'static str> {
    let text = raw.get();
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let value: f64 = text.parse().map_err(|_| "wrong_type")?;
    if is_number { Ok(if value == 0.0 { 0.0 } else { value }) } else { Err("wrong_type") }
}

/// Microseconds since 1970 of an RFC 3339 time from then on. What lies beyond microseconds is cut.
fn timestamp(text: &str) -> Option<i64> {
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let is = |at: usize, any: &str| text.get(at..=at).is_some_and(|c| any.contains(c));
    let is_shaped = is(4, "-") && is(7, "-") && is(10, "Tt") && is(13, ":") && is(16, ":");
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    if !is_shaped || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let year = i16::try_from(digits(0, 4)?).ok()?;
    let (month, day) = (i8::try_from(digits(5, 7)?).ok()?, i8::try_from(digits(8, 10)?).ok()?);
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    let days = date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24;
    let (fraction_us, zone) = fraction(text.get(19..)?)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - zone_offset(zone)?;
    let micros = seconds * 1_000_000 + fraction_us;
    (micros >= 0).then_some(micros)
}

/// The microseconds of a fraction, if there is one, and what follows it.
fn fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(rest) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let six: String = rest[..length].chars().chain("000000".chars()).take(6).collect();
    (length > 0).then(|| Some((six.parse().ok()?, &rest[length..])))?
}

/// Seconds east of UTC.
fn zone_offset(zone: &str) -> Option<i64> {
    if zone == "Z" || zone == "z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
    let two = |text: &str| -> Option<i64> {
        (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The members of an object, repeated ones too.
struct List(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = List;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(List(all))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
