//! Every reason, the order of reasons, and what is kept of an event.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const KAFKA_TIME: &str = "2025-04-05T10:16:00Z";

pub(crate) fn settings() -> EventFormat {
    EventFormat {
        camera_field: "kvfv_id".into(),
        timestamp_field: "timestamp".into(),
        speed_field: "vehicle_speed".into(),
        plate_field: "plate_number".into(),
        max_speed_kmh: 400.0,
        max_record_bytes: 4096,
        max_future_skew_us: 600_000_000,
    }
}

fn decoded(payload: &str) -> Result<Fields<'_>, Rejection> {
    decode(Some(payload.as_bytes()), Timestamp::parse(KAFKA_TIME).unwrap(), &settings())
}

fn reason(payload: &str) -> &'static str {
    decoded(payload).map_or_else(|rejection| rejection.reason.as_str(), |_| "accepted")
}

fn with(members: &str) -> String {
    format!(
        r#"{{"kvfv_id":"KV1","timestamp":"2025-04-05T10:15:30Z","vehicle_speed":85.2{members}}}"#
    )
}

fn event(camera: &str, timestamp: &str, speed: &str) -> String {
    format!(r#"{{"kvfv_id":{camera},"timestamp":{timestamp},"vehicle_speed":{speed}}}"#)
}

const CAMERA: &str = r#""KV1""#;
const TIME: &str = r#""2025-04-05T10:15:30Z""#;

#[test]
fn an_event_keeps_all_that_was_sent() {
    let payload = with(r#", "plate_number":"А123ВС77","lane" : 2 ,"a":1.50,"a":{"b": [1e400]}"#);
    let fields = decoded(&payload).unwrap();
    assert_eq!(fields.camera_id, "KV1");
    assert_eq!(fields.event_time.to_string(), "2025-04-05T10:15:30Z");
    assert_eq!((fields.speed_kmh, fields.speed.thousandths()), (85.2, 85_200));
    assert_eq!(fields.plate_number.as_deref(), Some("А123ВС77"));
    assert_eq!(fields.extra.as_deref(), Some(r#"{"lane":2,"a":1.50,"a":{"b": [1e400]}}"#));
}

#[test]
fn plates_may_be_absent_or_null_and_are_not_trimmed() {
    assert_eq!(decoded(&with("")).unwrap().plate_number, None);
    assert_eq!(decoded(&with(r#","plate_number":null"#)).unwrap().plate_number, None);
    let payload = with(r#","plate_number":" \u0041\ud83d\ude97 ""#);
    assert_eq!(decoded(&payload).unwrap().plate_number.as_deref(), Some(" A🚗 "));
    assert_eq!(decoded(&with("")).unwrap().extra, None);
}

#[test]
fn payloads_that_are_no_json_text_are_told_apart() {
    let time = Timestamp::parse(KAFKA_TIME).unwrap();
    let of = |payload: Option<&[u8]>| decode(payload, time, &settings()).unwrap_err().reason;
    assert_eq!(of(None), DeadLetterReason::Empty);
    assert_eq!(of(Some(b"")), DeadLetterReason::Empty);
    assert_eq!(of(Some(&[b' '; 4097])), DeadLetterReason::TooLarge);
    assert_eq!(of(Some(b"{\"kvfv_id\":\"\xff\"}")), DeadLetterReason::NotUtf8);
    let bom = format!("\u{feff}{}", with(""));
    let twice = with(r#","kvfv_id":"KV1""#);
    let escaped_twice = with(r#","kvfv\u005fid":"KV1""#);
    for text in [
        " ",
        "{",
        "nul",
        "{}}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1,}",
        "{\"a\":\"\t\"}",
        &bom,
        &twice,
        &escaped_twice,
        &with(r#","\ud800":1"#),
        &with(r#","plate_number":"\ud800""#),
        &with(r#","plate_number":"\udc00\ud800""#),
        &with(r#","plate_number":["\ud83dx"]"#),
        &with(r#","plate_number":"\ud83dx\n""#),
        &(with("") + "x"),
        &(with("") + "{}"),
    ] {
        assert_eq!(reason(text), "not_json", "{text}");
    }
    for text in ["1", "null", "[]", "\"x\"", "\"\\ud800\"", " true "] {
        assert_eq!(reason(text), "not_an_object", "{text}");
    }
}

#[test]
fn nesting_is_counted_from_the_object_as_level_one() {
    let nested =
        |levels: usize| with(&format!(",\"x\":{}{}", "[".repeat(levels), "]".repeat(levels)));
    assert_eq!(reason(&nested(127)), "accepted");
    assert_eq!(reason(&nested(128)), "not_json");
    assert_eq!(reason(&"[".repeat(4096)), "not_json");
    assert_eq!(reason(&with(&format!(",\"x\":\"{}\"", "[".repeat(300)))), "accepted");
}

#[test]
fn surrogates_elsewhere_than_in_names_and_the_four_values_are_kept() {
    let fields = with(r#","x":"\ud800""#);
    assert_eq!(decoded(&fields).unwrap().extra.as_deref(), Some(r#"{"x":"\ud800"}"#));
}

#[test]
fn fields_are_checked_in_the_order_of_the_reasons() {
    for (payload, expected) in [
        (r#"{}"#.to_owned(), "missing_field"),
        (r#"{"kvfv_id":1,"timestamp":2}"#.to_owned(), "missing_field"),
        (event("null", TIME, "1"), "wrong_type"),
        (event("[]", r#""bad""#, "-1"), "wrong_type"),
        (event(CAMERA, "1743848130", "1"), "wrong_type"),
        (event(CAMERA, TIME, r#""85""#), "wrong_type"),
        (event(CAMERA, TIME, "true"), "wrong_type"),
        (with(r#","plate_number":7"#), "wrong_type"),
        (event(r#""""#, r#""bad""#, "-1"), "bad_camera_id"),
        (event(r#""..""#, TIME, "1"), "bad_camera_id"),
        (event(&format!("\"{}\"", "я".repeat(65)), TIME, "1"), "bad_camera_id"),
        (event(CAMERA, r#""2025-04-05 10:15:30Z""#, "-1"), "bad_timestamp"),
        (event(CAMERA, r#""1969-12-31T23:59:59Z""#, "1"), "bad_timestamp"),
        (event(CAMERA, TIME, "-0.001"), "bad_speed"),
        (event(CAMERA, TIME, "400.0001"), "bad_speed"),
        (event(CAMERA, r#""2030-01-01T00:00:00Z""#, "1e400"), "bad_speed"),
        (event(CAMERA, r#""2030-01-01T00:00:00Z""#, "1"), "future_event_time"),
    ] {
        assert_eq!(reason(&payload), expected, "{payload}");
    }
}

#[test]
fn speeds_and_future_skew_are_inclusive() {
    assert_eq!(reason(&event(CAMERA, TIME, "400")), "accepted");
    assert_eq!(reason(&event(CAMERA, TIME, "4E2")), "accepted");
    let minus_zero = event(CAMERA, TIME, "-0.0");
    assert!(decoded(&minus_zero).unwrap().speed_kmh.is_sign_positive());
    assert_eq!(reason(&event(CAMERA, r#""2025-04-05T10:26:00Z""#, "1")), "accepted");
    assert_eq!(
        reason(&event(CAMERA, r#""2025-04-05T10:26:00.000001Z""#, "1")),
        "future_event_time"
    );
}

#[test]
fn a_rejection_names_the_field_and_the_value() {
    let payload = event(CAMERA, TIME, "401");
    let detail = decoded(&payload).unwrap_err().detail;
    assert!(detail.contains("vehicle_speed") && detail.contains("401"), "{detail}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(Some(&bytes), Timestamp::from_micros(0), &settings());
    }

    #[test]
    fn damaged_events_never_panic(at in 0_usize..90, byte in any::<u8>()) {
        let mut bytes = with(r#","plate_number":"\ud83d\ude97""#).into_bytes();
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        let _ = decode(Some(&bytes), Timestamp::from_micros(0), &settings());
    }

    #[test]
    fn extra_is_what_a_json_reader_sees(
        members in prop::collection::btree_map("[a-z\"\\\\é]{1,6}", -1000_i64..1000, 1..5),
    ) {
        let object: serde_json::Map<String, serde_json::Value> =
            members.iter().map(|(name, value)| (format!("x{name}"), (*value).into())).collect();
        let text = serde_json::Value::Object(object.clone()).to_string();
        let payload = with(&format!(",{}", &text[1..text.len() - 1]));
        let extra = decoded(&payload).unwrap().extra.unwrap();
        let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&extra).unwrap();
        prop_assert_eq!(read, object);
    }
}
