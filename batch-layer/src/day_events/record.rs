//! Events as bytes, as small as recognising duplicates and the batch's figures allow: one record after another in a buffer.
//!
//! A record is the number that its camera was given while the day is read (4 bytes), its event time and speed as a [`Key`]
//! (8 bytes), both with the least significant byte first, and its plate: the length plus one in groups of seven bits, least
//! significant group first and all but the last marked by the eighth, then the bytes. Without a plate the length is 0.

use lake_model::{Speed, Timestamp};

/// Bits of a key that hold the speed in thousandths of km/h: up to 16,777 km/h.
const SPEED_BITS: u32 = 24;
/// Bits of a key that hold the time since the day began, in microseconds: more than 12 days.
const TIME_BITS: u32 = 40;

/// An event's time within its day and its speed, in the order of events of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    /// The key of an event of a day that begins at `day_start`; `None` if a day can't have it.
    pub(super) fn new(day_start: Timestamp, event_time: Timestamp, speed: Speed) -> Option<Key> {
        let micros = event_time.micros().checked_sub(day_start.micros())?;
        let time = u64::try_from(micros).ok().filter(|time| time >> TIME_BITS == 0)?;
        let speed = u64::from(speed.thousandths());
        (speed >> SPEED_BITS == 0).then_some(Key(time << SPEED_BITS | speed))
    }

    /// The least key of an event at `time` of a day that begins at `day_start`.
    pub(super) fn least_at(day_start: Timestamp, time: Timestamp) -> Key {
        let micros = time.micros().saturating_sub(day_start.micros());
        Key(u64::try_from(micros).unwrap_or(0).min((1 << TIME_BITS) - 1) << SPEED_BITS)
    }

    pub(super) fn event_time(self, day_start: Timestamp) -> Timestamp {
        let micros = i64::try_from(self.0 >> SPEED_BITS).expect("it has 40 bits");
        day_start.saturating_add(micros)
    }

    pub(super) fn speed(self) -> Speed {
        let thousandths = self.0 & ((1 << SPEED_BITS) - 1);
        Speed::from_thousandths(u32::try_from(thousandths).expect("it has 24 bits"))
    }
}

/// A record in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) camera: u32,
    pub(super) key: Key,
    /// Where the plate begins in the buffer.
    pub(super) plate_at: usize,
    /// All of it.
    pub(super) bytes: &'a [u8],
}

/// Appends a record to `buffer`.
pub(super) fn push(buffer: &mut Vec<u8>, camera: u32, key: Key, plate: Option<&str>) {
    buffer.extend_from_slice(&camera.to_le_bytes());
    buffer.extend_from_slice(&key.0.to_le_bytes());
    let plate = plate.map(str::as_bytes);
    let mut length = plate.map_or(0, |plate| plate.len() + 1);
    loop {
        let seven_bits = u8::try_from(length & 0x7F).expect("it has 7 bits");
        length >>= 7;
        if length == 0 {
            buffer.push(seven_bits);
            break;
        }
        buffer.push(seven_bits | 0x80);
    }
    buffer.extend_from_slice(plate.unwrap_or_default());
}

/// The records of `buffer`, in their order.
pub(super) fn all(buffer: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let (camera, rest) = buffer[start..].split_first_chunk::<4>()?;
        let (key, _) = rest.split_first_chunk::<8>().expect("records are whole");
        let plate_at = start + 12;
        at = plate_bytes(buffer, plate_at).1;
        let (camera, key) = (u32::from_le_bytes(*camera), Key(u64::from_le_bytes(*key)));
        Some(Record { camera, key, plate_at, bytes: &buffer[start..at] })
    })
}

/// The plate that begins there in `buffer`.
pub(super) fn plate(buffer: &[u8], plate_at: usize) -> Option<&[u8]> {
    plate_bytes(buffer, plate_at).0
}

/// The plate that begins there, and where it ends.
fn plate_bytes(buffer: &[u8], plate_at: usize) -> (Option<&[u8]>, usize) {
    let (mut length, mut at, mut shift) = (0, plate_at, 0);
    loop {
        let byte = buffer[at];
        at += 1;
        length |= usize::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    match length.checked_sub(1) {
        None => (None, at),
        Some(length) => (Some(&buffer[at..at + length]), at + length),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_743_800_400_000_000);

    fn key(micros: i64, thousandths: u32) -> Option<Key> {
        let speed = Speed::from_thousandths(thousandths);
        Key::new(START, START.saturating_add(micros), speed)
    }

    proptest! {
        #[test]
        fn what_was_pushed_comes_back_in_its_order(
            events in prop::collection::vec(
                (any::<u32>(), 0_i64..90_000_000_000, 0_u32..10_000_001, prop::option::of(".{0,200}")),
                0..20,
            ),
        ) {
            let mut buffer = Vec::new();
            for (camera, micros, speed, plate) in &events {
                push(&mut buffer, *camera, key(*micros, *speed).unwrap(), plate.as_deref());
            }
            let found = all(&buffer).map(|record| {
                let plate = plate(&buffer, record.plate_at).map(|plate| plate.to_vec());
                let time = record.key.event_time(START).micros() - START.micros();
                (record.camera, time, record.key.speed().thousandths(), plate)
            });
            let expected = events.iter().map(|(camera, time, speed, plate)| {
                (*camera, *time, *speed, plate.as_ref().map(|plate| plate.as_bytes().to_vec()))
            });
            prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            let pieces: Vec<u8> = all(&buffer).flat_map(|record| record.bytes.to_vec()).collect();
            prop_assert_eq!(pieces, buffer.clone());
        }

        #[test]
        fn keys_are_in_the_order_of_time_and_speed(
            a in (0_i64..1000, 0_u32..1000), b in (0_i64..1000, 0_u32..1000),
        ) {
            prop_assert_eq!(key(a.0, a.1).cmp(&key(b.0, b.1)), a.cmp(&b));
            prop_assert!(Key::least_at(START, START.saturating_add(a.0)) <= key(a.0, a.1).unwrap());
        }
    }

    #[test]
    fn what_no_day_can_have_is_no_key() {
        assert_eq!(key(-1, 0), None);
        assert_eq!(key(1 << TIME_BITS, 0), None);
        assert_eq!(key(0, 1 << SPEED_BITS), None);
        assert!(key((1 << TIME_BITS) - 1, (1 << SPEED_BITS) - 1).is_some());
    }

    #[test]
    fn no_plate_is_another_than_an_empty_one() {
        let mut buffer = Vec::new();
        push(&mut buffer, 1, key(0, 0).unwrap(), None);
        push(&mut buffer, 1, key(0, 0).unwrap(), Some(""));
        let plates: Vec<_> = all(&buffer).map(|record| plate(&buffer, record.plate_at)).collect();
        assert_eq!(plates, [None, Some(&b""[..])]);
    }
}
