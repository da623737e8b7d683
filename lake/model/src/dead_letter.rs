//! Records that can't be events, and why.

use std::fmt;

use crate::{KafkaPartition, Offset, Timestamp};

/// The reasons a record becomes a dead letter, in the order in which they are checked: the first that
/// applies is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeadLetterReason {
    /// No payload, or one of no bytes.
    Empty,
    /// The payload is longer than `event.max_record_bytes`.
    TooLarge,
    /// The payload is not UTF-8.
    NotUtf8,
    /// The payload is not one JSON text that names each of the four fields at most once.
    NotJson,
    /// The JSON text is not an object.
    NotAnObject,
    /// A required field is absent.
    MissingField,
    /// A field is of another JSON type than it must be, or null where a value is required.
    WrongType,
    /// The camera id is empty, too long, or a dot segment.
    BadCameraId,
    /// The timestamp is not RFC 3339, or before 1970.
    BadTimestamp,
    /// The speed is negative, too great, or beyond a double.
    BadSpeed,
    /// The event time is further after the record's Kafka timestamp than `event.max_future_skew`.
    FutureEventTime,
}

impl DeadLetterReason {
    /// Every reason, in the order of checking.
    pub const ALL: [DeadLetterReason; 11] = [
        DeadLetterReason::Empty,
        DeadLetterReason::TooLarge,
        DeadLetterReason::NotUtf8,
        DeadLetterReason::NotJson,
        DeadLetterReason::NotAnObject,
        DeadLetterReason::MissingField,
        DeadLetterReason::WrongType,
        DeadLetterReason::BadCameraId,
        DeadLetterReason::BadTimestamp,
        DeadLetterReason::BadSpeed,
        DeadLetterReason::FutureEventTime,
    ];

    /// The reason as the `dead_letters` table holds it.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeadLetterReason::Empty => "empty",
            DeadLetterReason::TooLarge => "too_large",
            DeadLetterReason::NotUtf8 => "not_utf8",
            DeadLetterReason::NotJson => "not_json",
            DeadLetterReason::NotAnObject => "not_an_object",
            DeadLetterReason::MissingField => "missing_field",
            DeadLetterReason::WrongType => "wrong_type",
            DeadLetterReason::BadCameraId => "bad_camera_id",
            DeadLetterReason::BadTimestamp => "bad_timestamp",
            DeadLetterReason::BadSpeed => "bad_speed",
            DeadLetterReason::FutureEventTime => "future_event_time",
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A record that can't be an event, whole, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The first reason that applies.
    pub reason: DeadLetterReason,
    /// The reason in words.
    pub detail: String,
    /// The record's key as received.
    pub key: Option<Vec<u8>>,
    /// The record's payload as received.
    pub payload: Option<Vec<u8>>,
    /// The record's Kafka timestamp.
    pub kafka_timestamp: Timestamp,
    /// The record's partition.
    pub kafka_partition: KafkaPartition,
    /// The record's offset.
    pub kafka_offset: Offset,
}

impl DeadLetter {
    /// About how much memory it occupies.
    pub fn bytes(&self) -> usize {
        let outside = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        size_of::<DeadLetter>() + self.detail.len() + outside(&self.key) + outside(&self.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named_as_the_table_holds_them() {
        let names = DeadLetterReason::ALL.map(|reason| reason.to_string());
        let expected = [
            "empty",
            "too_large",
            "not_utf8",
            "not_json",
            "not_an_object",
            "missing_field",
            "wrong_type",
            "bad_camera_id",
            "bad_timestamp",
            "bad_speed",
            "future_event_time",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_letter_takes_the_memory_of_what_it_holds() {
        let mut letter = DeadLetter {
            reason: DeadLetterReason::Empty,
            detail: "four".to_owned(),
            key: None,
            payload: None,
            kafka_timestamp: Timestamp::from_micros(0),
            kafka_partition: KafkaPartition(0),
            kafka_offset: Offset::ZERO,
        };
        let bare = letter.bytes();
        assert_eq!(bare, size_of::<DeadLetter>() + 4);
        (letter.key, letter.payload) = (Some(vec![0; 10]), Some(vec![0; 100]));
        assert_eq!(letter.bytes(), bare + 110);
    }
}
