//! Payloads read back as JSON, and bad ones classified independently of how they were written.

use lake_model::DeadLetterReason as Reason;
use lake_model::{Calendar, CameraId, Day};
use serde_json::Value;

use super::*;
use crate::bad::BadKind;
use crate::generator::{Generator, Shares};
use crate::schedule::Schedule;

const SHARES: Shares = Shares { late: 0.1, late_max_ms: 3_600_000, duplicates: 0.1, bad: 0.3 };

fn names() -> FieldNames {
    FieldNames::new("kvfv_id", "timestamp", "vehicle_speed", "plate_number")
}

/// Each delivery of a small run with its payload.
fn payloads(world: &World, events: u64) -> Vec<(Delivery, Option<Vec<u8>>)> {
    let day = Day::parse("2025-04-04").expect("a date");
    let schedule = Schedule::over_days(Calendar::utc(), day, 1, events);
    let wire = Wire::new(names());
    let written = |delivery: Delivery| {
        let mut out = b"left over from before".to_vec();
        let there = wire.write(world, &delivery, &mut out);
        (delivery, there.then_some(out))
    };
    Generator::new(world, schedule, SHARES, 1).map(written).collect()
}

/// The reason for which a record can't be an event, as docs/contract.md has it.
fn classify(payload: Option<&[u8]>, arrival_ms: i64) -> Option<Reason> {
    let Some(payload) = payload.filter(|payload| !payload.is_empty()) else {
        return Some(Reason::Empty);
    };
    let Ok(text) = std::str::from_utf8(payload) else { return Some(Reason::NotUtf8) };
    // Too great a number is a bad speed, which this reader of JSON would call no JSON.
    let Ok(value) = serde_json::from_str::<Value>(&text.replace("1e999", "99999")) else {
        return Some(Reason::NotJson);
    };
    let Value::Object(object) = value else { return Some(Reason::NotAnObject) };
    let fields = ["kvfv_id", "timestamp", "vehicle_speed"].map(|name| object.get(name));
    let [Some(camera), Some(timestamp), Some(speed)] = fields else {
        return Some(Reason::MissingField);
    };
    let (Some(camera), Some(timestamp), Some(speed)) =
        (camera.as_str(), timestamp.as_str(), speed.as_f64())
    else {
        return Some(Reason::WrongType);
    };
    if !CameraId::is_valid(camera) {
        return Some(Reason::BadCameraId);
    }
    let Some(time) = Timestamp::parse_event(timestamp) else { return Some(Reason::BadTimestamp) };
    if !(0.0..=400.0).contains(&speed) {
        return Some(Reason::BadSpeed);
    }
    (time > Timestamp::from_millis(arrival_ms + 600_000)).then_some(Reason::FutureEventTime)
}

#[test]
fn every_bad_record_is_bad_for_its_reason_and_no_event_is() {
    let world = World::new(1, 20, 1000);
    for (delivery, payload) in payloads(&world, 20_000) {
        let expected = match delivery.kind {
            Kind::Bad(kind) => Some(kind.reason()),
            _ => None,
        };
        let found = classify(payload.as_deref(), delivery.arrival_ms);
        assert_eq!(found, expected, "{delivery:?} {:?}", payload.map(String::from_utf8));
    }
}

#[test]
fn bad_kinds_cover_every_reason_that_a_broker_lets_through() {
    for reason in Reason::ALL {
        let covered = BadKind::ALL.iter().any(|kind| kind.reason() == reason);
        assert_eq!(covered, reason != Reason::TooLarge, "{reason}");
    }
}

#[test]
fn events_carry_what_the_camera_saw() {
    let world = World::new(1, 20, 1000);
    let (mut lanes, mut directions, mut without_plate) = (0, 0, 0);
    for (delivery, payload) in payloads(&world, 20_000) {
        if matches!(delivery.kind, Kind::Bad(_)) {
            continue;
        }
        let value: Value = serde_json::from_slice(&payload.expect("a payload")).expect("JSON");
        assert_eq!(value["kvfv_id"], world.camera(&delivery.sighting).id.as_str());
        let time = Timestamp::parse_event(value["timestamp"].as_str().expect("text"));
        assert_eq!(time, Some(Timestamp::from_millis(delivery.sighting.event_ms)));
        let speed = value["vehicle_speed"].as_f64().expect("a number");
        assert!((speed * 10.0 - f64::from(delivery.sighting.speed_tenths)).abs() < 1e-6);
        without_plate += usize::from(value["plate_number"].is_null());
        lanes += usize::from(value["lane"].is_u64());
        directions += usize::from(value["direction"].is_string());
    }
    assert!((100..400).contains(&without_plate), "{without_plate} without a plate");
    assert!(lanes > 4000 && directions > 2000, "{lanes} lanes, {directions} directions");
}

#[test]
fn a_duplicate_has_the_bytes_of_its_event() {
    let world = World::new(1, 20, 1000);
    let list = payloads(&world, 5000);
    let events: std::collections::HashSet<&[u8]> = list
        .iter()
        .filter(|(delivery, _)| matches!(delivery.kind, Kind::Event | Kind::Late))
        .filter_map(|(_, payload)| payload.as_deref())
        .collect();
    let duplicates = list.iter().filter(|(delivery, _)| delivery.kind == Kind::Duplicate);
    assert!(duplicates.clone().count() > 300);
    assert!(
        duplicates
            .into_iter()
            .all(|(_, payload)| events.contains(payload.as_deref().expect("bytes")))
    );
}

#[test]
fn configured_names_are_used_and_quoted() {
    let names = FieldNames::new("id \"x\"", "t", "v", "p");
    let object = names.object(&[Some("1".to_owned()), None, Some("2".to_owned())]);
    assert_eq!(object, r#"{"id \"x\"":1,"v":2}"#);
}
