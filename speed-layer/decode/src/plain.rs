//! The common record in one pass: a flat object whose names and strings are spelled without escapes.
//!
//! The payload goes through [`Reader`], token by token, into [`Members`] and then [`Fields`]. What is not understood here,
//! or can't be an event, is `None`: it is left to the strict reading, which alone has all rules and the words for them. So
//! anything may be `None`, but an event must be the one that the strict reading finds.
//!
//! UTF-8 is checked of what is kept. All else that is understood is ASCII, or equal to a configured name.

mod decimal;
mod reader;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::str::from_utf8;

use lake_model::{CameraId, EventFormat, EventTime, Speed};

use self::reader::Reader;
use super::Fields;

/// The members of an event's object.
#[derive(Default)]
struct Members<'a> {
    camera_id: Option<&'a str>,
    event_time: Option<EventTime>,
    speed_kmh: Option<f64>,
    plate: Option<Plate<'a>>,
    /// The others as a JSON object that is still open.
    extra: Option<String>,
}

/// The value of the plate's field.
enum Plate<'a> {
    Null,
    Text(&'a str),
}

/// The event in `payload`, if it is spelled plainly.
pub(super) fn decode<'a>(
    payload: &'a [u8],
    kafka_timestamp: EventTime,
    settings: &EventFormat,
) -> Option<Fields<'a>> {
    if payload.len() as u64 > settings.max_record_bytes {
        return None;
    }
    let mut members = Members::default();
    members.read(payload, settings)?;
    let ahead_us = members.event_time?.saturating_since(kafka_timestamp);
    if ahead_us > settings.max_future_skew_us {
        return None;
    }
    members.into_fields(settings)
}

impl<'a> Members<'a> {
    /// Reads a whole payload.
    fn read(&mut self, payload: &'a [u8], settings: &EventFormat) -> Option<()> {
        let mut reader = Reader::new(payload);
        reader.mark(b'{')?;
        loop {
            let name = reader.string()?;
            reader.mark(b':')?;
            self.take(name, &mut reader, settings)?;
            if reader.mark(b',').is_none() {
                break;
            }
        }
        reader.mark(b'}')?;
        reader.is_at_end().then_some(())
    }

    /// Takes the value of the member `name`. A second value of a known one is not understood.
    fn take(&mut self, name: &[u8], reader: &mut Reader<'a>, settings: &EventFormat) -> Option<()> {
        if name == settings.camera_field.as_bytes() {
            fill(&mut self.camera_id, from_utf8(reader.string()?).ok()?)
        } else if name == settings.timestamp_field.as_bytes() {
            fill(&mut self.event_time, EventTime::parse_event_bytes(reader.string()?)?)
        } else if name == settings.speed_field.as_bytes() {
            fill(&mut self.speed_kmh, reader.number()?.to_unsigned()?)
        } else if name == settings.plate_field.as_bytes() {
            let plate = match reader.string() {
                Some(text) => Plate::Text(from_utf8(text).ok()?),
                None => reader.word(b"null").map(|()| Plate::Null)?,
            };
            fill(&mut self.plate, plate)
        } else {
            append(&mut self.extra, name, reader)
        }
    }

    fn into_fields(self, settings: &EventFormat) -> Option<Fields<'a>> {
        let camera_id = self.camera_id.filter(|id| CameraId::is_valid(id))?;
        let speed_kmh = self.speed_kmh?;
        let plate_number = match self.plate {
            None | Some(Plate::Null) => None,
            Some(Plate::Text(text)) => Some(Cow::Borrowed(text)),
        };
        let extra = self.extra.map(|mut extra| {
            extra.push('}');
            extra
        });
        Some(Fields {
            camera_id: Cow::Borrowed(camera_id),
            event_time: self.event_time?,
            speed_kmh,
            speed: Speed::from_kmh(speed_kmh, settings.max_speed_kmh)?,
            plate_number,
            extra,
        })
    }
}

/// Adds a further member to `extra`.
fn append(extra: &mut Option<String>, name: &[u8], reader: &mut Reader<'_>) -> Option<()> {
    // Each member takes at least as many bytes of the payload; the end of the object is there, too.
    let most_bytes = "{\"\":".len() + name.len() + reader.bytes_left();
    let name = from_utf8(name).ok()?;
    let value = from_utf8(reader.scalar()?).ok()?;
    let separator = if extra.is_some() { "," } else { "{" };
    let extra = extra.get_or_insert_with(|| String::with_capacity(most_bytes));
    for part in [separator, "\"", name, "\":", value] {
        extra.push_str(part);
    }
    Some(())
}

/// Fills what is empty yet.
fn fill<T>(field: &mut Option<T>, value: T) -> Option<()> {
    if field.is_some() {
        return None;
    }
    *field = Some(value);
    Some(())
}
