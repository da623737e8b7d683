//! What the tables must hold of a topic, by plain arithmetic on the contract's rules, in UTC.

use lake_model::{Offset, OffsetRange, Speed};
use lake_tables::txn::WatermarkReset;
use serde_json::Value;

use crate::log_source::{Record, Topic};
use crate::support::{Held, MINUTE_US};

pub fn expected(topic: &Topic) -> Held {
    expected_with(topic, &[])
}

/// The same where watermarks were reset, each from its offset on, in this order.
pub fn expected_with(topic: &Topic, resets: &[WatermarkReset]) -> Held {
    let mut held = Held::default();
    for (partition, (records, end)) in &topic.partitions {
        let mut next = 0;
        let mut greatest: Option<i64> = None;
        for record in records {
            note_gap(&mut held, *partition, next, record.offset);
            let reset = |r: &&WatermarkReset| {
                r.partition.0 == *partition && (next..=record.offset).contains(&r.offset.0)
            };
            greatest = resets.iter().rfind(reset).map(|r| r.to.micros()).or(greatest);
            next = record.offset + 1;
            match parsed(record) {
                None => held.dead_letters.push((*partition, record.offset)),
                Some((camera, time, thousandths)) => {
                    let end_of_window = time - time % (5 * MINUTE_US) + 5 * MINUTE_US;
                    let watermark = greatest.map(|greatest| greatest - MINUTE_US / 2);
                    let late = watermark.is_some_and(|w| w - end_of_window > 180 * MINUTE_US);
                    greatest = greatest.max(Some(time));
                    held.events.insert((*partition, record.offset), late);
                    if !late {
                        fold(&mut held, *partition, &camera, time, thousandths);
                    }
                }
            }
        }
        note_gap(&mut held, *partition, next, *end);
        held.offsets.push((*partition, *end));
        held.averaged_offsets.push((*partition, *end));
    }
    held.event_rows = held.events.len();
    held.average_rows = held.averages.len();
    held
}

fn note_gap(held: &mut Held, partition: i32, first: i64, next: i64) {
    if first < next {
        held.gaps.push((partition, OffsetRange::new(Offset(first), Offset(next))));
    }
}

fn fold(held: &mut Held, partition: i32, camera: &str, time: i64, thousandths: u64) {
    for (size, minutes) in [("5m", 5), ("1h", 60), ("24h", 1440)] {
        let start = time - time % (minutes * MINUTE_US);
        let sums = held.averages.entry((partition, camera.to_owned(), size, start)).or_default();
        *sums = (sums.0 + 1, sums.1 + thousandths);
    }
}

fn parsed(record: &Record) -> Option<(String, i64, u64)> {
    let value: Value = serde_json::from_slice(record.payload.as_deref()?).ok()?;
    let time = lake_model::Timestamp::parse(value["timestamp"].as_str()?)?;
    let thousandths = Speed::rounded(value["vehicle_speed"].as_f64()?).thousandths().into();
    Some((value["kvfv_id"].as_str()?.to_owned(), time.micros(), thousandths))
}
