//! Bad records: what broken cameras send, one kind for each reason of a dead letter.
//!
//! A payload over the size limit is not among them: brokers refuse such records by default.

use lake_model::{DeadLetterReason, Timestamp};

use crate::field_names::FieldNames;

/// By how much the event time of a record from the future is ahead of its arrival.
const AHEAD_MS: i64 = 366 * 86_400_000;

/// A kind of bad record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BadKind {
    /// Half an object.
    BrokenJson,
    /// Without one of the required fields.
    MissingField,
    /// A field of the wrong JSON type, or null.
    WrongType,
    /// A camera id that is empty, too long, or a dot segment.
    BadCameraId,
    /// A time that is not RFC 3339, or before 1970.
    BadTimestamp,
    /// A speed that is negative or beyond reason.
    BadSpeed,
    /// No payload at all.
    NoPayload,
    /// A payload of no bytes.
    NoBytes,
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// An event time far after the arrival.
    FutureEventTime,
    /// An array instead of an object.
    Array,
}

impl BadKind {
    /// Every kind, in the order in which they take turns.
    pub const ALL: [BadKind; 11] = [
        BadKind::BrokenJson,
        BadKind::MissingField,
        BadKind::WrongType,
        BadKind::BadCameraId,
        BadKind::BadTimestamp,
        BadKind::BadSpeed,
        BadKind::NoPayload,
        BadKind::NotUtf8,
        BadKind::FutureEventTime,
        BadKind::Array,
        BadKind::NoBytes,
    ];

    /// The reason for which such a record becomes a dead letter.
    pub const fn reason(self) -> DeadLetterReason {
        match self {
            BadKind::BrokenJson => DeadLetterReason::NotJson,
            BadKind::MissingField => DeadLetterReason::MissingField,
            BadKind::WrongType => DeadLetterReason::WrongType,
            BadKind::BadCameraId => DeadLetterReason::BadCameraId,
            BadKind::BadTimestamp => DeadLetterReason::BadTimestamp,
            BadKind::BadSpeed => DeadLetterReason::BadSpeed,
            BadKind::NoPayload | BadKind::NoBytes => DeadLetterReason::Empty,
            BadKind::NotUtf8 => DeadLetterReason::NotUtf8,
            BadKind::FutureEventTime => DeadLetterReason::FutureEventTime,
            BadKind::Array => DeadLetterReason::NotAnObject,
        }
    }
}

/// The three required fields of an event as JSON texts.
#[derive(Clone, Debug)]
pub struct Required {
    /// The camera id, quoted.
    pub camera: String,
    /// The event time, quoted.
    pub timestamp: String,
    /// The speed.
    pub speed: String,
}

/// Appends the payload of a bad record of `kind` that is spoilt from the fields of a good event and arrives
/// at `arrival_ms`; `detail` chooses among its variants. False if the record has no payload.
pub fn write(
    kind: BadKind,
    good: Required,
    names: &FieldNames,
    arrival_ms: i64,
    detail: u8,
    out: &mut Vec<u8>,
) -> bool {
    let variant = usize::from(detail);
    let mut fields = [Some(good.camera), Some(good.timestamp), Some(good.speed)];
    spoil_fields(&mut fields, kind, arrival_ms, variant);
    let object = names.object(&fields);
    match kind {
        BadKind::NoPayload => return false,
        BadKind::NoBytes => {}
        BadKind::BrokenJson => {
            out.extend_from_slice(&object.as_bytes()[..object.len() - 1 - variant % 3]);
        }
        BadKind::Array => out.extend_from_slice(format!("[{object}]").as_bytes()),
        BadKind::NotUtf8 => {
            out.extend_from_slice(object.as_bytes());
            out.push(0xff);
        }
        _ => out.extend_from_slice(object.as_bytes()),
    }
    true
}

/// Spoils the fields of the kinds whose JSON is well-formed.
fn spoil_fields(fields: &mut [Option<String>; 3], kind: BadKind, arrival_ms: i64, variant: usize) {
    match kind {
        BadKind::MissingField => fields[variant % 3] = None,
        BadKind::WrongType => fields[variant % 3] = Some(wrong_type(variant).to_owned()),
        BadKind::BadCameraId => fields[0] = Some(bad_camera_id(variant)),
        BadKind::BadTimestamp => fields[1] = Some(bad_timestamp(variant).to_owned()),
        BadKind::BadSpeed => fields[2] = Some(bad_speed(variant).to_owned()),
        BadKind::FutureEventTime => {
            fields[1] = Some(format!("\"{}\"", Timestamp::from_millis(arrival_ms + AHEAD_MS)));
        }
        _ => {}
    }
}

/// A JSON text that suits none of the required fields.
fn wrong_type(variant: usize) -> &'static str {
    ["null", "true", "{}", "[1]"][variant / 3 % 4]
}

fn bad_camera_id(variant: usize) -> String {
    let id = match variant % 4 {
        0 => String::new(),
        1 => ".".to_owned(),
        2 => "..".to_owned(),
        _ => "KV".repeat(65),
    };
    format!("\"{id}\"")
}

fn bad_timestamp(variant: usize) -> &'static str {
    [
        "\"yesterday\"",
        "\"2025-04-05 10:15:30Z\"",
        "\"2025-02-30T10:15:30Z\"",
        "\"1969-12-31T23:59:59Z\"",
        "\"2025-04-05T10:15:30+0300\"",
    ][variant % 5]
}

fn bad_speed(variant: usize) -> &'static str {
    ["-0.1", "99999", "-85.2", "1e999"][variant % 4]
}
