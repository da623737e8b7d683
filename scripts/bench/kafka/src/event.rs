//! Camera events of a steady load, made with as little work as possible.
//!
//! Cameras take turns. One event in fifty of each camera's is up to two and a half hours old in event time.

use std::io::Write;

use lake_model::Timestamp;

/// One event in so many is late.
const LATE_EVERY: u64 = 50;
/// The oldest event, in minutes.
const LATE_MINUTES: u64 = 150;

/// An event as a record.
pub struct Event {
    /// Its camera's number, from 0.
    pub camera: u64,
    /// The record's key, the camera's id.
    pub key: String,
    /// The record's value.
    pub payload: Vec<u8>,
}

impl Event {
    /// The event at that place in the load, which a camera of so many sees that many milliseconds after 1970.
    pub fn new(number: u64, cameras: u64, millis: i64) -> Event {
        let camera = number % cameras;
        let key = format!("KV{:05}", 10_000 + camera);
        // Figures that vary from event to event, for each camera: the number by the golden ratio, its best bits.
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let tenths = 300 + mixed % 1200;
        let is_late = (camera + number / cameras).is_multiple_of(LATE_EVERY);
        let minutes = if is_late { 1 + mixed % LATE_MINUTES } else { 0 };
        let time = Timestamp::from_millis(millis - 60_000 * minutes.cast_signed());
        let mut payload = Vec::with_capacity(128);
        write!(
            payload,
            r#"{{"kvfv_id":"{key}","timestamp":"{time}","vehicle_speed":{}.{},"plate_number":"А{:03}ВС77"}}"#,
            tenths / 10,
            tenths % 10,
            mixed % 1000
        )
        .expect("a vector takes whatever is written");
        Event { camera, key, payload }
    }
}
