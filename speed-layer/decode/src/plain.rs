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

use lake_model::event_format::FieldName;
use lake_model::kafka_timestamp::latest_event_time;
use lake_model::{CameraId, EventFormat, Speed, Timestamp};

use self::reader::Reader;
use super::Fields;

/// The members of an event's object.
#[derive(Default)]
struct Members<'a> {
    camera_id: Option<&'a str>,
    event_time: Option<Timestamp>,
    speed_kmh: Option<f64>,
    plate: Option<Plate<'a>>,
    /// The others as a JSON object that is still open.
    extra: Option<String>,
}

/// A known member. Records are read faster if it is the one that follows the last.
#[derive(Clone, Copy)]
enum Field {
    Camera,
    Timestamp,
    Speed,
    Plate,
}

/// The value of the plate's field.
enum Plate<'a> {
    Null,
    Text(&'a str),
}

/// The event in `payload`, if it is spelled plainly.
pub(super) fn decode<'a>(
    payload: &'a [u8],
    kafka_timestamp: Timestamp,
    settings: &EventFormat,
) -> Option<Fields<'a>> {
    if payload.len() as u64 > settings.max_record_bytes {
        return None;
    }
    let mut members = Members::default();
    members.read(payload, settings)?;
    if members.event_time? > latest_event_time(kafka_timestamp, settings.max_future_skew_us) {
        return None;
    }
    members.into_fields(settings)
}

impl<'a> Members<'a> {
    /// Reads a whole payload.
    fn read(&mut self, payload: &'a [u8], settings: &EventFormat) -> Option<()> {
        let mut reader = Reader::new(payload);
        reader.mark(b'{')?;
        let mut expected = Field::Camera;
        loop {
            let field = match reader.member(expected.name(settings)) {
                Some(()) => Some(expected),
                None => self.take_name(&mut reader, settings)?,
            };
            if let Some(field) = field {
                self.take(field, &mut reader)?;
                expected = field.next();
            }
            if reader.mark(b',').is_none() {
                break;
            }
        }
        reader.mark(b'}')?;
        reader.is_at_end().then_some(())
    }

    /// Takes the name of a known member and gives its field, or takes a whole member that is not known.
    fn take_name(
        &mut self,
        reader: &mut Reader<'a>,
        settings: &EventFormat,
    ) -> Option<Option<Field>> {
        let name = reader.string()?;
        reader.mark(b':')?;
        let mut known = Field::ALL.into_iter();
        let field = known.find(|field| name == field.name(settings).as_bytes());
        if field.is_none() {
            append(&mut self.extra, name, reader)?;
        }
        Some(field)
    }

    /// Takes a known member's value. A second one is not understood.
    #[inline]
    fn take(&mut self, field: Field, reader: &mut Reader<'a>) -> Option<()> {
        match field {
            Field::Camera => fill(&mut self.camera_id, from_utf8(reader.string()?).ok()?),
            Field::Timestamp => {
                fill(&mut self.event_time, Timestamp::parse_event_bytes(reader.string()?)?)
            }
            Field::Speed => fill(&mut self.speed_kmh, reader.number()?.to_unsigned()?),
            Field::Plate => {
                let plate = match reader.string() {
                    Some(text) => Plate::Text(from_utf8(text).ok()?),
                    None => reader.word(b"null").map(|()| Plate::Null)?,
                };
                fill(&mut self.plate, plate)
            }
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

impl Field {
    /// In the order that they are mostly sent in.
    const ALL: [Field; 4] = [Field::Camera, Field::Timestamp, Field::Speed, Field::Plate];

    fn name(self, settings: &EventFormat) -> &FieldName {
        match self {
            Field::Camera => &settings.camera_field,
            Field::Timestamp => &settings.timestamp_field,
            Field::Speed => &settings.speed_field,
            Field::Plate => &settings.plate_field,
        }
    }

    /// The one that mostly follows.
    fn next(self) -> Field {
        match self {
            Field::Camera => Field::Timestamp,
            Field::Timestamp => Field::Speed,
            Field::Speed | Field::Plate => Field::Plate,
        }
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
