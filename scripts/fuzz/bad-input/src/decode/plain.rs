//! A plain reading of a record: the whole object as `serde_json::Value`, looked at member by member.
//!
//! It shares no code with the decoder but the readers of times, and can't read all that the decoder can: numbers beyond a
//! double, 128 levels, and half surrogate pairs in members that nobody asks for.

use lake_model::event_format::FieldName;
use lake_model::{CameraId, DeadLetterReason, Timestamp};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use speed_layer_decode::{EventFormat, Fields};

/// The plain reader is a trifle off in the last digit of a number, so this near to a limit it can't tell.
const PRECISION: f64 = 1e-9;
/// More arrays and objects than this may be nested too deep.
const DEEPEST: usize = 128;

/// Asserts that `fields` hold what the object in `payload` does, nothing less and nothing more.
pub(super) fn check_event(payload: &[u8], fields: &Fields<'_>, settings: &EventFormat) {
    let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(payload) else { return };
    let camera = object.remove(&*settings.camera_field);
    assert_eq!(camera.as_ref().and_then(Value::as_str), Some(&*fields.camera_id));
    let plate = object.remove(&*settings.plate_field).filter(|plate| !plate.is_null());
    assert_eq!(plate.as_ref().and_then(Value::as_str), fields.plate_number.as_deref());
    let time = object.remove(&*settings.timestamp_field);
    let time = time.as_ref().and_then(Value::as_str).and_then(Timestamp::parse_event);
    assert_eq!(time, Some(fields.event_time));
    let speed = object.remove(&*settings.speed_field).and_then(|speed| speed.as_f64());
    assert!(speed.is_some_and(|kmh| (kmh - fields.speed_kmh).abs() <= PRECISION), "{speed:?}");
    let extra = fields.extra.as_deref().map(serde_json::from_str::<Map<String, Value>>);
    match extra {
        None => assert!(object.is_empty(), "not kept: {object:?}"),
        Some(extra) => assert_eq!(extra.ok(), Some(object)),
    }
}

/// Asserts that `reason` is why `text`, which is not too long, can't be an event.
pub(super) fn check_reason(
    text: &str,
    reason: DeadLetterReason,
    kafka_timestamp: Timestamp,
    settings: &EventFormat,
) {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    match reason {
        DeadLetterReason::NotJson => {
            assert!(!is_json || may_be_refused(text, settings), "this is JSON: {text}");
        }
        DeadLetterReason::NotAnObject => {
            assert!(is_json && !text.trim_start().starts_with('{'), "{text}");
        }
        _ => {
            assert!(is_json && text.trim_start().starts_with('{'), "{text}");
            let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) else { return };
            let kmh = object.get(&*settings.speed_field).and_then(Value::as_f64);
            let near = |limit: f64| kmh.is_some_and(|kmh| (kmh - limit).abs() <= PRECISION);
            if near(0.0) || near(settings.max_speed_kmh) {
                return;
            }
            assert_eq!(Some(reason), first_reason(&object, kafka_timestamp, settings), "{text}");
        }
    }
}

/// Whether JSON may be refused all the same: for its depth, for half of a surrogate pair, or for one of the four names
/// twice.
fn may_be_refused(text: &str, settings: &EventFormat) -> bool {
    let names = [
        &settings.camera_field,
        &settings.timestamp_field,
        &settings.speed_field,
        &settings.plate_field,
    ];
    let is_twice = |name: &&FieldName| text.matches(&format!("\"{name}\"")).count() > 1;
    text.contains("\\u") || text.matches(['{', '[']).count() > DEEPEST || names.iter().any(is_twice)
}

/// The first reason that applies to an object, as docs/contract.md lists them.
fn first_reason(
    object: &Map<String, Value>,
    kafka_timestamp: Timestamp,
    settings: &EventFormat,
) -> Option<DeadLetterReason> {
    let members = [&settings.camera_field, &settings.timestamp_field, &settings.speed_field]
        .map(|name| object.get(&**name));
    let [Some(camera), Some(timestamp), Some(speed)] = members else {
        return Some(DeadLetterReason::MissingField);
    };
    let plate = object.get(&*settings.plate_field).unwrap_or(&Value::Null);
    let (Some(camera), Some(timestamp), Some(kmh), true) =
        (camera.as_str(), timestamp.as_str(), speed.as_f64(), plate.is_string() || plate.is_null())
    else {
        return Some(DeadLetterReason::WrongType);
    };
    if !CameraId::is_valid(camera) {
        return Some(DeadLetterReason::BadCameraId);
    }
    let Some(time) = Timestamp::parse_event(timestamp) else {
        return Some(DeadLetterReason::BadTimestamp);
    };
    if !(0.0..=settings.max_speed_kmh).contains(&kmh) {
        return Some(DeadLetterReason::BadSpeed);
    }
    // Written out anew: a second opinion on what the decoder calls the latest event time.
    let last_us = 253_370_764_800_000_000;
    let ahead_us = time.saturating_since(kafka_timestamp);
    let is_ahead = kafka_timestamp.micros() != 0 && ahead_us > settings.max_future_skew_us;
    (is_ahead || time.micros() > last_us).then_some(DeadLetterReason::FutureEventTime)
}
