//! Decoding records: a payload becomes the typed fields of an event, or a reason why it can't.
//!
//! Strict, bounded and without panics. Records as cameras commonly spell them are read by `plain` in one pass. All
//! others go the strict way: serde_json reads the object's members as raw slices; the four known ones are decoded, all
//! others are copied as spelled into `extra`. The checks follow the order of [`DeadLetterReason`], so that the first
//! reason that applies is given. Nesting is counted before parsing, since skipped values have no limit in serde_json.

mod batch;
mod object;
mod plain;
mod scan;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use lake_model::EventFormat;
use lake_model::kafka_timestamp::{ABSENT, latest_event_time};
use lake_model::{CameraId, DeadLetterReason, Speed, Timestamp};
use serde_json::value::RawValue;

pub use self::batch::DecodedBatch;
use self::object::Members;

/// The fields of an event, borrowed from its payload.
#[derive(Debug, PartialEq)]
pub struct Fields<'a> {
    /// The camera.
    pub camera_id: Cow<'a, str>,
    /// When the camera saw the vehicle.
    pub event_time: Timestamp,
    /// The speed as sent, in km/h; negative zero is zero.
    pub speed_kmh: f64,
    /// The speed in thousandths.
    pub speed: Speed,
    /// The plate as sent.
    pub plate_number: Option<Cow<'a, str>>,
    /// The remaining members as a JSON object.
    pub extra: Option<String>,
}

/// Why a record can't be an event.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The first reason that applies.
    pub reason: DeadLetterReason,
    /// The reason in words, with the name and value at fault.
    pub detail: String,
}

/// Decodes one record.
pub fn decode<'a>(
    payload: Option<&'a [u8]>,
    kafka_timestamp: Timestamp,
    settings: &EventFormat,
) -> Result<Fields<'a>, Rejection> {
    match payload.and_then(|payload| plain::decode(payload, kafka_timestamp, settings)) {
        Some(fields) => Ok(fields),
        None => decode_strictly(payload, kafka_timestamp, settings),
    }
}

/// Decodes one record by the strict reading alone: slower, with the same result. Tests compare the two.
pub fn decode_strictly<'a>(
    payload: Option<&'a [u8]>,
    kafka_timestamp: Timestamp,
    settings: &EventFormat,
) -> Result<Fields<'a>, Rejection> {
    let text = text_of(payload, settings.max_record_bytes)?;
    let members = object::members(text, settings)?;
    let fields = fields_of(members, settings)?;
    let latest = latest_event_time(kafka_timestamp, settings.max_future_skew_us);
    if fields.event_time > latest {
        let event_time = fields.event_time;
        let detail = match kafka_timestamp {
            ABSENT => format!("event time {event_time} is after {latest}"),
            known => {
                let ahead_s = event_time.saturating_since(known) / 1_000_000;
                format!(
                    "event time {event_time} is {ahead_s} s after the record's Kafka timestamp {known}"
                )
            }
        };
        return reject(DeadLetterReason::FutureEventTime, detail);
    }
    Ok(fields)
}

fn text_of(payload: Option<&[u8]>, max_bytes: u64) -> Result<&str, Rejection> {
    let payload = payload.unwrap_or_default();
    if payload.is_empty() {
        return reject(DeadLetterReason::Empty, "the record has no payload");
    }
    if payload.len() as u64 > max_bytes {
        let detail =
            format!("{} bytes are more than event.max_record_bytes = {max_bytes}", payload.len());
        return reject(DeadLetterReason::TooLarge, detail);
    }
    std::str::from_utf8(payload).or_else(|error| {
        reject(DeadLetterReason::NotUtf8, format!("the payload is not UTF-8: {error}"))
    })
}

/// Types first, then values, each in the order of the reasons.
fn fields_of<'a>(members: Members<'a>, settings: &EventFormat) -> Result<Fields<'a>, Rejection> {
    let Members { camera, timestamp, speed, plate, extra } = members;
    let camera = present(camera, &settings.camera_field)?;
    let timestamp = present(timestamp, &settings.timestamp_field)?;
    let speed = present(speed, &settings.speed_field)?;
    let camera_id = string(camera, &settings.camera_field)?;
    let timestamp = string(timestamp, &settings.timestamp_field)?;
    let speed = number(speed, &settings.speed_field)?;
    let plate_number = match plate {
        None => None,
        Some(raw) if raw.get() == "null" => None,
        Some(raw) => Some(string(raw, &settings.plate_field)?),
    };
    if !CameraId::is_valid(&camera_id) {
        return reject(
            DeadLetterReason::BadCameraId,
            bad_camera(&settings.camera_field, &camera_id),
        );
    }
    let Some(event_time) = Timestamp::parse_event(&timestamp) else {
        let (name, value) = (&settings.timestamp_field, shown(&timestamp));
        let detail = format!("{name} {value} is not an RFC 3339 time from 1970 on");
        return reject(DeadLetterReason::BadTimestamp, detail);
    };
    let (speed_kmh, speed) = speed_of(speed, settings)?;
    Ok(Fields { camera_id, event_time, speed_kmh, speed, plate_number, extra })
}

fn bad_camera(name: &str, id: &str) -> String {
    format!(
        "{name} {} of {} bytes is no camera id: 1 to 128 bytes, not \".\" or \"..\"",
        shown(id),
        id.len()
    )
}

fn speed_of(raw: &str, settings: &EventFormat) -> Result<(f64, Speed), Rejection> {
    // JSON's numbers are a part of Rust's; one too great for a double becomes infinite.
    let kmh: f64 = raw.parse().unwrap_or(f64::NAN);
    match Speed::from_kmh(kmh, settings.max_speed_kmh) {
        Some(speed) => Ok((kmh + 0.0, speed)),
        None => {
            let (name, value, max) = (&settings.speed_field, shown(raw), settings.max_speed_kmh);
            let detail = format!("{name} {value} is not from 0 to {max} km/h");
            reject(DeadLetterReason::BadSpeed, detail)
        }
    }
}

fn present<'a>(value: Option<&'a RawValue>, name: &str) -> Result<&'a RawValue, Rejection> {
    value.map_or_else(
        || reject(DeadLetterReason::MissingField, format!("the field {name} is missing")),
        Ok,
    )
}

fn string<'a>(raw: &'a RawValue, name: &str) -> Result<Cow<'a, str>, Rejection> {
    let text = raw.get();
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return reject(
            DeadLetterReason::WrongType,
            format!("{name} is {}, not a string", shown(text)),
        );
    };
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(text)
        .map(Cow::Owned)
        .or_else(|error| reject(DeadLetterReason::NotJson, format!("{name}: {error}")))
}

fn number<'a>(raw: &'a RawValue, name: &str) -> Result<&'a str, Rejection> {
    let text = raw.get();
    if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Ok(text);
    }
    reject(DeadLetterReason::WrongType, format!("{name} is {}, not a number", shown(text)))
}

/// A value for people: quoted, and cut if it is long.
fn shown(value: &str) -> String {
    const LONGEST: usize = 80;
    match value.char_indices().nth(LONGEST) {
        None => format!("{value:?}"),
        Some((end, _)) => format!("{:?}…", &value[..end]),
    }
}

fn reject<T>(reason: DeadLetterReason, detail: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection { reason, detail: detail.into() })
}
