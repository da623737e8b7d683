//! Records through the decoder: an event keeps what was sent, a dead letter says why, a batch holds every record.
//!
//! An input is records divided by [`SEPARATOR`]; a record of the one byte 0 has no payload. Each is decoded by itself, then
//! all of them into one batch. The result is that of the decoder's strict reading alone. What is accepted, and the reason
//! of what is not, is compared with a `plain` reading wherever that can read the object.

mod encode;
mod plain;

use arrow_array::{Array, StringArray};
use lake_model::{
    CameraId, DeadLetter, DeadLetterReason, EventColumns, KafkaPartition, Offset, Speed, Timestamp,
};
use speed_layer_decode::{DecodedBatch, EventFormat, Fields, Rejection, decode, decode_strictly};

/// Divides the records of an input.
pub const SEPARATOR: u8 = 0x1e;
/// An input's record that has no payload.
const NO_PAYLOAD: &[u8] = &[0];
/// Payloads may be so long: little enough for inputs to get beyond it.
const MAX_RECORD_BYTES: u64 = 2048;
/// No detail is longer: a value is cut after 80 characters, which may be written as escapes.
const LONGEST_DETAIL_BYTES: usize = 1200;
/// What a record costs besides its bytes: the structs that hold it, and the detail.
const RECORD_OVERHEAD_BYTES: usize = LONGEST_DETAIL_BYTES + 400;
const PARTITION: KafkaPartition = KafkaPartition(7);
const FIRST_OFFSET: i64 = 1_000_000;

/// Checks all that must hold of the records of an input.
///
/// # Panics
/// If something does not hold.
pub fn check(data: &[u8]) {
    let payload = |record| (record != NO_PAYLOAD).then_some(record);
    let payloads: Vec<_> = data.split(|byte| *byte == SEPARATOR).map(payload).collect();
    check_records(&payloads, &settings());
}

/// Checks all that must hold of records with these payloads.
///
/// # Panics
/// If something does not hold.
pub fn check_records(payloads: &[Option<&[u8]>], settings: &EventFormat) {
    for payload in payloads {
        let decoded = decode(*payload, kafka_timestamp(), settings);
        assert_eq!(decoded, decode_strictly(*payload, kafka_timestamp(), settings));
        match decoded {
            Ok(fields) => check_event(payload.unwrap_or_default(), &fields, settings),
            Err(rejection) => check_rejection(payload.unwrap_or_default(), &rejection, settings),
        }
    }
    check_batch(payloads, settings);
}

/// The settings that records are decoded with: the defaults but for the length.
pub fn settings() -> EventFormat {
    EventFormat { max_record_bytes: MAX_RECORD_BYTES, ..lake_config::Settings::default().event }
}

/// 2025-04-05T10:16:00Z, when every record arrives.
fn kafka_timestamp() -> Timestamp {
    Timestamp::from_micros(1_743_848_160_000_000)
}

fn check_event(payload: &[u8], fields: &Fields<'_>, settings: &EventFormat) {
    assert!(CameraId::is_valid(&fields.camera_id), "{fields:?}");
    assert!((0.0..=settings.max_speed_kmh).contains(&fields.speed_kmh), "{fields:?}");
    assert!(fields.speed_kmh.is_sign_positive(), "{fields:?}");
    assert_eq!(fields.speed, Speed::rounded(fields.speed_kmh), "{fields:?}");
    let ahead_us = fields.event_time.saturating_since(kafka_timestamp());
    assert!(fields.event_time.micros() >= 0 && ahead_us <= settings.max_future_skew_us);
    let kept = |text: Option<&str>| text.map_or(0, str::len);
    let bytes = fields.camera_id.len()
        + kept(fields.plate_number.as_deref())
        + kept(fields.extra.as_deref());
    assert!(bytes <= payload.len(), "{bytes} bytes are kept of {}", payload.len());
    plain::check_event(payload, fields, settings);
    encode::check_round_trip(fields, kafka_timestamp(), settings);
}

fn check_rejection(payload: &[u8], rejection: &Rejection, settings: &EventFormat) {
    let Rejection { reason, detail } = rejection;
    assert!(!detail.is_empty(), "{reason} has no detail");
    assert!(detail.len() <= LONGEST_DETAIL_BYTES, "the detail is long: {detail}");
    assert!(!detail.contains(char::is_control), "the detail is no line: {detail:?}");
    let text = std::str::from_utf8(payload);
    let told_by_bytes = if payload.is_empty() {
        Some(DeadLetterReason::Empty)
    } else if payload.len() as u64 > settings.max_record_bytes {
        Some(DeadLetterReason::TooLarge)
    } else if text.is_err() {
        Some(DeadLetterReason::NotUtf8)
    } else {
        None
    };
    match (told_by_bytes, text) {
        (None, Ok(text)) => plain::check_reason(text, *reason, kafka_timestamp(), settings),
        (expected, _) => assert_eq!(Some(*reason), expected, "{detail}"),
    }
}

/// Every record is in the batch, in order and whole, and the batch takes no more memory than the records explain.
fn check_batch(payloads: &[Option<&[u8]>], settings: &EventFormat) {
    let mut batch = DecodedBatch::new(PARTITION, 1);
    for (offset, payload) in (FIRST_OFFSET..).map(Offset).zip(payloads) {
        batch.push(offset, kafka_timestamp(), key_of(*payload), *payload, settings);
    }
    let given: usize = payloads.iter().flatten().map(|payload| 2 * payload.len()).sum();
    assert!(batch.bytes() <= given + payloads.len() * RECORD_OVERHEAD_BYTES);
    assert_eq!(batch.len(), payloads.len());
    let (mut events, letters) = batch.into_parts();
    let plates = std::mem::take(&mut events.plate_number).into_array();
    let extra = std::mem::take(&mut events.extra).into_array();
    let text = |texts: &StringArray, row| texts.is_valid(row).then(|| texts.value(row).to_owned());
    let (mut row, mut letters) = (0, letters.iter());
    for (offset, payload) in (FIRST_OFFSET..).map(Offset).zip(payloads) {
        match decode(*payload, kafka_timestamp(), settings) {
            Ok(fields) => {
                check_row(&events, row, offset, &fields);
                assert_eq!(text(&plates, row).as_deref(), fields.plate_number.as_deref());
                assert_eq!(text(&extra, row).as_deref(), fields.extra.as_deref());
                row += 1;
            }
            Err(rejection) => {
                check_letter(
                    letters.next().expect("a dead letter for each that is refused"),
                    offset,
                    *payload,
                    &rejection,
                );
            }
        }
    }
    assert_eq!((row, letters.next()), (events.len(), None));
}

fn key_of(payload: Option<&[u8]>) -> Option<&[u8]> {
    payload.map(|payload| &payload[..payload.len().min(16)])
}

/// An event of a batch is what it is by itself.
fn check_row(events: &EventColumns, row: usize, offset: Offset, fields: &Fields<'_>) {
    assert_eq!(events.offset(row), offset);
    assert_eq!(events.kafka_timestamp[row], kafka_timestamp().micros());
    assert_eq!(events.camera_id.get(row), fields.camera_id);
    assert_eq!(events.event_time[row], fields.event_time.micros());
    assert_eq!(events.speed[row], fields.speed);
    assert_eq!(events.speed_kmh[row].to_bits(), fields.speed_kmh.to_bits());
}

/// A dead letter of a batch holds all of its record.
fn check_letter(
    letter: &DeadLetter,
    offset: Offset,
    payload: Option<&[u8]>,
    rejection: &Rejection,
) {
    assert_eq!((letter.reason, &letter.detail), (rejection.reason, &rejection.detail));
    assert_eq!(letter.payload.as_deref(), payload);
    assert_eq!(letter.key.as_deref(), key_of(payload));
    assert_eq!((letter.kafka_partition, letter.kafka_offset), (PARTITION, offset));
    assert_eq!(letter.kafka_timestamp, kafka_timestamp());
}
