//! What cameras send: an event each, most with a plate, some with further fields.

use std::io::Write;

use lake_model::Timestamp;
use rand::RngExt;
use rand::rngs::SmallRng;

/// When the first record is seen: 2025-04-05T00:00:00Z.
const FIRST_US: i64 = 1_743_811_200_000_000;
/// Time from one record to the next.
const STEP_US: i64 = 7_000;
/// Records are under way to Kafka for so long.
const TRANSIT_US: i64 = 20_000_000;
/// Letters on Russian plates.
const LETTERS: [char; 12] = ['А', 'В', 'Е', 'К', 'М', 'Н', 'О', 'Р', 'С', 'Т', 'У', 'Х'];

/// The Kafka timestamp of the record `number`.
pub fn kafka_timestamp(number: u64) -> Timestamp {
    event_time(number).saturating_add(TRANSIT_US)
}

/// Appends the payload of the record `number`.
pub fn write(number: u64, random: &mut SmallRng, out: &mut Vec<u8>) {
    write_event(number, random, out).expect("writing to memory does not fail");
}

fn event_time(number: u64) -> Timestamp {
    let steps = i64::try_from(number).unwrap_or(i64::MAX);
    Timestamp::from_micros(FIRST_US).saturating_add(steps.saturating_mul(STEP_US))
}

fn write_event(number: u64, random: &mut SmallRng, out: &mut Vec<u8>) -> std::io::Result<()> {
    let camera: u32 = random.random_range(0..1000);
    let tenths: u32 = random.random_range(200..1800);
    let detail: u8 = random.random();
    write!(out, "{{\"kvfv_id\":\"KV{camera:05}\",\"timestamp\":\"{}\"", event_time(number))?;
    write!(out, ",\"vehicle_speed\":{}.{}", tenths / 10, tenths % 10)?;
    match detail % 100 {
        0 => write!(out, ",\"plate_number\":null")?,
        1 => {}
        _ => write!(out, ",\"plate_number\":\"{}\"", plate(random))?,
    }
    if detail.is_multiple_of(4) {
        write!(out, ",\"lane\":{}", detail / 64 + 1)?;
    }
    if detail.is_multiple_of(8) {
        write!(out, ", \"position\": {{\"lat\": 55.7558, \"lon\": 37.6173}}")?;
    }
    out.push(b'}');
    Ok(())
}

fn plate(random: &mut SmallRng) -> String {
    let mut letter = || LETTERS[random.random_range(0..LETTERS.len())];
    let letters = [letter(), letter(), letter()];
    let (number, region): (u16, u16) = (random.random_range(1..1000), random.random_range(1..200));
    format!("{}{number:03}{}{}{region:02}", letters[0], letters[1], letters[2])
}
