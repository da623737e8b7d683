//! What is plain, and that plain or not, a record is decoded as by the strict reading alone.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::decimal::Decimal;
use super::reader::plain_length;
use super::*;
use crate::decode_strictly;
use crate::tests::settings;

const KAFKA_TIME: Timestamp = Timestamp::from_micros(1_743_848_160_000_000);
/// A record with what a camera may send, all of it plain.
const RECORD: &str = r#"{"kvfv_id":"KV12345","timestamp":"2025-04-05T10:15:30.123000Z","vehicle_speed":85.2,"plate_number":"А123ВС77","lane":2,"direction":"N"}"#;

/// Whether the record is read by the plain reading.
fn is_plain(payload: impl AsRef<[u8]>) -> bool {
    decode(payload.as_ref(), KAFKA_TIME, &settings()).is_some()
}

/// `RECORD` with a part spelled otherwise.
fn spelled(part: &str, otherwise: &str) -> String {
    assert!(RECORD.contains(part), "{part}");
    RECORD.replace(part, otherwise)
}

/// Names that JSON spells with escapes, one of which is empty.
fn odd_names() -> EventFormat {
    EventFormat {
        camera_field: "a\"b".into(),
        timestamp_field: "".into(),
        speed_field: "\\u0061\n".into(),
        plate_field: "я".into(),
        ..settings()
    }
}

/// Asserts that the record is decoded as by the strict reading alone, to the bit.
fn check_same(payload: &[u8]) {
    for settings in [settings(), odd_names()] {
        let found = crate::decode(Some(payload), KAFKA_TIME, &settings);
        let expected = decode_strictly(Some(payload), KAFKA_TIME, &settings);
        assert_eq!(found, expected, "{}", payload.escape_ascii());
        let bits =
            |fields: &Result<Fields<'_>, _>| fields.as_ref().ok().map(|f| f.speed_kmh.to_bits());
        assert_eq!(bits(&found), bits(&expected), "{}", payload.escape_ascii());
    }
}

#[test]
fn records_as_cameras_send_them_are_plain() {
    for payload in [
        RECORD.to_owned(),
        spelled("\":", "\": ").replace(',', ", "),
        format!(" \r\n\t{} \r\n\t", spelled(",", "\n ,\t")),
        spelled(r#","plate_number":"А123ВС77","lane":2,"direction":"N""#, ""),
        spelled(r#""А123ВС77""#, "null"),
        spelled(r#""А123ВС77""#, r#""""#),
        spelled("10:15:30.123000Z", "13:15:30+03:00"),
        spelled("85.2", "85"),
        spelled("85.2", "0"),
        spelled("85.2", "85.19999999999999"),
        spelled("85.2", "8.52e+1"),
        spelled(":2", ":-0.5E-3,\"a\":true,\"a\" :false,\"\":null,\"я\":\"[\u{7f}{\""),
    ] {
        assert!(is_plain(&payload), "{payload}");
        check_same(payload.as_bytes());
    }
}

#[test]
fn whatever_is_not_plain_is_left_to_the_strict_reading() {
    for payload in [
        String::new(),
        "{}".to_owned(),
        format!("\u{feff}{RECORD}"),
        format!("{RECORD}x"),
        spelled("}", ""),
        spelled("}", ",}"),
        spelled("}", "}}"),
        spelled("{", "{,"),
        spelled(",", ",,"),
        spelled(":", ""),
        spelled(",", "\u{a0},"),
        spelled(",", "\u{b},"),
        spelled("\"lane\":2", "\"kvfv_id\":\"KV12345\""),
        spelled("\"lane\":2", "\"timestamp\":\"2025-04-05T10:15:30Z\""),
        spelled("\"lane\":2", "\"vehicle_speed\":85.2"),
        spelled("\"lane\":2", "\"plate_number\":null"),
        spelled("\"lane\":2", "\"plate_number\":null").replace("\"А123ВС77\"", "null"),
        spelled("lane", "l\tane"),
        spelled("kvfv_id", "kvfv\\u005fid"),
        spelled("KV12345", ""),
        spelled("KV12345", "KV\\u0031"),
        spelled("KV12345", "KV\0"),
        spelled(r#""KV12345""#, "7"),
        spelled("2025", "1925"),
        spelled("2025", "2026"),
        spelled("85.2", "-0"),
        spelled("85.2", "085.2"),
        spelled("85.2", "85."),
        spelled("85.2", ".2"),
        spelled("85.2", "+85.2"),
        spelled("85.2", "85.2e"),
        spelled("85.2", "85.2e+"),
        spelled("85.2", "400.1"),
        spelled("85.2", "1e400"),
        spelled("85.2", r#""85.2""#),
        spelled(r#""А123ВС77""#, "7"),
        spelled(r#""А123ВС77""#, "nul"),
        spelled(":2", ":[2]"),
        spelled(":2", ":{}"),
        spelled(":2", ":02"),
        spelled(":2", ":-"),
        spelled(":2", ":truefalse"),
        spelled(":2", ":NaN"),
    ] {
        assert!(!is_plain(&payload), "{payload}");
        check_same(payload.as_bytes());
    }
}

#[test]
fn names_that_need_escapes_are_not_names_without_them() {
    let time = "2025-04-05T10:15:30Z";
    let raw = format!("{{\"a\"b\":\"KV1\",\"\":\"{time}\",\"\\u0061\n\":1,\"я\":\"A1\"}}");
    check_same(raw.as_bytes());
    let escaped = raw.replace("a\"b", "a\\\"b").replace("\\u0061\n", "\\\\u0061\\n");
    check_same(escaped.as_bytes());
    assert!(crate::decode(Some(escaped.as_bytes()), KAFKA_TIME, &odd_names()).is_ok());
}

#[test]
fn every_byte_anywhere_in_a_record_is_taken_as_by_the_strict_reading() {
    let spaced = spelled(":2", " : -1.5e7 ");
    for at in 0..spaced.len() {
        let mut payload = spaced.clone().into_bytes();
        for byte in 0..=u8::MAX {
            payload[at] = byte;
            check_same(&payload);
        }
        payload.truncate(at);
        check_same(&payload);
        check_same(&[&spaced.as_bytes()[..at], &spaced.as_bytes()[at + 1..]].concat());
    }
}

#[test]
fn a_record_over_the_limit_is_too_large_however_plain() {
    let limit = settings().max_record_bytes;
    let filled = |length: u64| {
        let fill = "x".repeat(usize::try_from(length).unwrap() - RECORD.len() + 1);
        spelled("\"N\"", &format!("\"{fill}\""))
    };
    assert!(is_plain(filled(limit)) && !is_plain(filled(limit + 1)));
    check_same(filled(limit + 1).as_bytes());
}

/// Bytes of a payload, some of which end strings.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => 0x20..=0x7f_u8,
        2 => any::<u8>(),
        1 => prop::sample::select(b"\"\\\0\x1f\x20\x21\x23\x5b\x5d\x7f\x80\xa2\xdc\xff".to_vec()),
    ];
    prop::collection::vec(byte, 0..40)
}

/// A number by JSON's grammar, or nearly.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[0-9]{1,3}(\\.[0-9]{1,3})?",
        2 => "[0-9]{1,3}\\.[0-9]{1,30}",
        2 => "-?[0-9]{1,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?",
        1 => "0\\.0{0,30}[0-9]{1,20}([eE]-?[0-9]{1,2})?",
        1 => (0.0..400.0_f64).prop_map(|kmh| kmh.to_string()),
    ]
}

fn time() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\"2025-04-0[45]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]0[0-9]:[0-5][0-9])\"",
        1 => "\"(19[67]|20[0-2])[0-9]-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9][Zz]\"",
    ]
}

/// A string, plain or not, or nearly one.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\"[A-Z0-9]{1,20}\"",
        2 => "\"[^\"\\\\\\x00-\\x1f]{0,30}\"",
        1 => "\"([a-zя]|\\\\(n|\"|u00[0-9]{2}|ud83d|udc00)){0,6}\"",
        1 => "\"(\\PC|[\\x00-\\x20]){0,10}\"",
    ]
}

fn value() -> impl Strategy<Value = String> {
    let other = ["null", "true", "false", "nul", "True", "[]", "{}", "[1,\"a\"]", "{\"a\":{}}", ""];
    prop_oneof![
        3 => number(),
        3 => string(),
        1 => time(),
        2 => prop::sample::select(other.to_vec()).prop_map(str::to_owned),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let known =
        ["kvfv_id", "timestamp", "vehicle_speed", "plate_number", "kvfv\\u005fid", "a\"b", "", "я"];
    prop_oneof![
        1 => prop::sample::select(known.to_vec()).prop_map(|name| format!("\"{name}\"")),
        3 => "\"[a-z_]{0,14}\"",
        2 => string(),
    ]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![12 => "", 4 => " ", 2 => "[ \t\r\n]{1,3}", 1 => "[\\x00-\\x20\u{a0}]"]
}

/// An object of the four members, each with a good value most of the time, and others, in any order.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let or_any = |good: BoxedStrategy<String>| prop_oneof![15 => good, 1 => value()].boxed();
    let known = |name: &str, good| (Just(format!("\"{name}\"")), or_any(good)).boxed();
    let plate = prop_oneof![3 => string(), 1 => Just("null".to_owned())].boxed();
    let all = vec![
        known("kvfv_id", string().boxed()),
        known("timestamp", time().boxed()),
        known("vehicle_speed", number().boxed()),
        known("plate_number", plate),
    ];
    let others = prop::collection::vec((name(), value()), 0..4);
    let spaces = prop::collection::vec(space(), 40);
    (all, others, spaces)
        .prop_flat_map(|(known, others, spaces)| {
            (Just([known, others].concat()).prop_shuffle(), Just(spaces))
        })
        .prop_map(|(members, spaces)| written(&members, &spaces))
}

fn written(members: &[(String, String)], spaces: &[String]) -> Vec<u8> {
    let mut space = spaces.iter().map(String::as_str).cycle();
    let mut space = || space.next().unwrap_or_default();
    let member = |(name, value): &(String, String)| {
        [space(), name, space(), ":", space(), value, space()].concat()
    };
    let inside = members.iter().map(member).collect::<Vec<_>>().join(",");
    format!("{}{{{inside}}}{}", spaces[0], spaces[1]).into_bytes()
}

/// Damage at a place that is given in 65,536ths of the length.
fn damage(mut payload: Vec<u8>, damage: &[(u16, u16, Vec<u8>)]) -> Vec<u8> {
    for (at, taken, put) in damage {
        let at = (payload.len() * usize::from(*at)) >> 16;
        let taken = usize::from(*taken).min(payload.len() - at);
        payload.splice(at..at + taken, put.iter().copied());
    }
    payload
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_spelling_is_decoded_as_by_the_strict_reading(payload in record()) {
        check_same(&payload);
    }

    #[test]
    fn a_damaged_record_is_decoded_as_by_the_strict_reading(
        payload in record(),
        places in prop::collection::vec((any::<u16>(), 0..4_u16, bytes().prop_map(|mut put| { put.truncate(2); put })), 1..4),
    ) {
        check_same(&damage(payload, &places));
    }

    #[test]
    fn any_number_is_the_one_that_the_standard_library_reads(text in number()) {
        let read = Decimal::read(text.as_bytes()).filter(|(_, rest)| rest.is_empty());
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        prop_assert_eq!(read.is_some(), is_json);
        if let Some(kmh) = read.and_then(|(number, _)| number.to_unsigned()) {
            prop_assert_eq!(kmh.to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
    }

    #[test]
    fn a_plain_text_ends_at_the_first_byte_that_is_none(bytes in bytes()) {
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let expected = bytes.iter().position(ends).unwrap_or(bytes.len());
        prop_assert_eq!(plain_length(&bytes), expected);
    }
}
