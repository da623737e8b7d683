//! Events written down again: under whatever names, what is written is read back.

use lake_model::Timestamp;
use lake_model::event_format::FieldName;
use speed_layer_decode::{EventFormat, Fields, decode};

/// Bytes that a record may grow by: its time is written in full, and its names may be longer.
const GROWTH_BYTES: u64 = 256;

/// Asserts that `fields`, written as a payload with the names of `settings` and with names that need escapes, decode to
/// the same.
pub(super) fn check_round_trip(
    fields: &Fields<'_>,
    kafka_timestamp: Timestamp,
    settings: &EventFormat,
) {
    let max_record_bytes = settings.max_record_bytes + GROWTH_BYTES;
    let same = EventFormat { max_record_bytes, ..settings.clone() };
    let escaped = EventFormat {
        camera_field: "имя \"k\"".into(),
        timestamp_field: "\\u0074ime\n".into(),
        speed_field: "\u{1}\u{7f}".into(),
        plate_field: "🚗/".into(),
        ..same
    };
    for settings in [&same, &escaped] {
        if names(settings).iter().any(|name| holds(fields.extra.as_deref(), name)) {
            continue;
        }
        let payload = encode(fields, settings);
        let again = decode(Some(payload.as_bytes()), kafka_timestamp, settings);
        assert_eq!(again.as_ref(), Ok(fields), "read back from {payload}");
    }
}

fn names(settings: &EventFormat) -> [&FieldName; 4] {
    [
        &settings.camera_field,
        &settings.timestamp_field,
        &settings.speed_field,
        &settings.plate_field,
    ]
}

/// Whether a member of `extra` may have that name.
fn holds(extra: Option<&str>, name: &str) -> bool {
    extra.is_some_and(|extra| extra.contains(&json(name)))
}

/// The event as the payload of a record.
fn encode(fields: &Fields<'_>, settings: &EventFormat) -> String {
    let member = |name: &str, value: String| format!("{}:{value}", json(name));
    let mut members = vec![
        member(&settings.camera_field, json(&fields.camera_id)),
        member(&settings.timestamp_field, json(&fields.event_time.to_string())),
        member(&settings.speed_field, serde_json::Value::from(fields.speed_kmh).to_string()),
    ];
    if let Some(plate) = &fields.plate_number {
        members.push(member(&settings.plate_field, json(plate)));
    }
    if let Some(extra) = &fields.extra {
        members.push(extra[1..extra.len() - 1].to_owned());
    }
    format!("{{{}}}", members.join(","))
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
