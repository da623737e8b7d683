//! What makes a record an event: the settings `event.*`, which decoding goes by.

/// What makes a record an event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFormat {
    /// The JSON field that holds the camera's id.
    pub camera_field: String,
    /// The one that holds the event time.
    pub timestamp_field: String,
    /// The one that holds the speed, in km/h.
    pub speed_field: String,
    /// The one that may hold the plate number.
    pub plate_field: String,
    /// The greatest speed that is accepted, in km/h.
    pub max_speed_kmh: f64,
    /// The longest payload that is accepted, in bytes.
    pub max_record_bytes: u64,
    /// How far an event time may lie after the record's Kafka timestamp, in microseconds.
    pub max_future_skew_us: i64,
}
