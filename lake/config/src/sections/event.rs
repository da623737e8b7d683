//! `[event]`: the format of events, which programs have as an [`EventFormat`].

use std::time::Duration;

use lake_model::EventFormat;

use super::rules::FIELD;
use crate::key::{default, section};
use crate::kind::{Bytes, Kmh, duration};
use crate::units::{CENTURY, MIB, MILLISECOND};

section! {
    /// What an event looks like on the wire: JSON in UTF-8.
    pub(crate) struct Event in "event" {
        /// The field that holds the camera's id.
        camera_field: String = FIELD, default("kvfv_id");

        /// The field that holds the event time, in RFC 3339.
        timestamp_field: String = FIELD, default("timestamp");

        /// The field that holds the speed, in km/h.
        speed_field: String = FIELD, default("vehicle_speed");

        /// The field that holds the plate number, which may be absent.
        plate_field: String = FIELD, default("plate_number");

        /// Greatest speed accepted, in km/h; faster ones become dead letters (`bad_speed`).
        max_speed_kmh: f64 = Kmh, default("400");

        /// Largest payload accepted; larger ones become dead letters (`too_large`).
        max_record_bytes: u64 = Bytes { min: 1, max: 64 * MIB }, default("1MiB");

        /// How far the event time may be after the record's Kafka timestamp; records from further in the
        /// future become dead letters (`future_event_time`), so that one faulty camera clock cannot make
        /// the events of all others late.
        max_future_skew: Duration = duration(MILLISECOND, CENTURY), default("10m");
    }
    families {}
}

impl From<Event> for EventFormat {
    fn from(event: Event) -> EventFormat {
        EventFormat {
            camera_field: event.camera_field.into(),
            timestamp_field: event.timestamp_field.into(),
            speed_field: event.speed_field.into(),
            plate_field: event.plate_field.into(),
            max_speed_kmh: event.max_speed_kmh,
            max_record_bytes: event.max_record_bytes,
            max_future_skew_us: i64::try_from(event.max_future_skew.as_micros())
                .unwrap_or(i64::MAX),
        }
    }
}
