//! `GET /kvfv/{id}/avg-speed`: which windows, and what is in them.

use axum::http::StatusCode;
use lake_model::{KafkaPartition, Speed, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{Event, Fixture, event, exact};

const FROM: &str = "2025-04-05T00:00:00Z";
const TO: &str = "2025-04-06T00:00:00Z";

fn number(window: &Value, name: &str) -> f64 {
    window[name].as_f64().unwrap()
}

#[tokio::test]
async fn an_answer_has_every_field_of_the_contract() {
    let mut fixture = Fixture::new().await;
    fixture.limit(85_200);
    fixture
        .land([
            event("KV1", "2025-04-05T10:15:30Z", 85_200),
            event("KV1", "2025-04-05T10:19:59.999999Z", 85_201),
            event("KV1", "2025-04-05T10:15:00Z", 60_000),
        ])
        .await;
    fixture.finalize("2025-04-05").await;
    let answer = fixture
        .averages("KV1", "2025-04-05T03:00:00.5%2B03:00", "2025-04-06T00:00:00z", "5m")
        .await;
    assert_eq!(answer.content_type(), "application/json");
    assert_eq!(
        answer.json(),
        json!({
            "kvfv_id": "KV1",
            "interval": "5m",
            "from": "2025-04-05T00:00:00.500000Z",
            "to": "2025-04-06T00:00:00Z",
            "windows": [{
                "window_start": "2025-04-05T10:15:00Z",
                "window_end": "2025-04-05T10:20:00Z",
                "avg_speed": 230_401.0 / 3000.0,
                "count": 3,
                "min": 60.0,
                "max": 85.201,
                "p50": 85.2,
                "p85": 85.201,
                "p95": 85.201,
                "over_limit": 1,
                "status": "final",
            }],
        })
    );
    // Full precision on the wire, not only after a reader's rounding.
    assert!(
        answer.body.contains(&format!("\"avg_speed\":{}", 230_401.0 / 3000.0)),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn without_a_configured_limit_over_limit_is_null() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 85_200)]).await;
    let windows = fixture.averages("KV1", FROM, TO, "24h").await.windows();
    assert_eq!(windows[0].get("over_limit"), Some(&Value::Null));
    assert_eq!(windows[0]["status"], "provisional");
}

#[tokio::test]
async fn rows_of_several_partitions_are_one_window_with_quantiles_of_all() {
    let mut fixture = Fixture::new().await;
    fixture.limit(90_000);
    let speeds: Vec<u32> = (0..300).map(|n| 40_000 + n * n % 70_001).collect();
    let events = (0..)
        .zip(&speeds)
        .map(|(n, speed)| event("KV1", "2025-04-05T10:15:30Z", *speed).of_partition(n % 3));
    fixture.land(events.collect::<Vec<_>>()).await;
    for interval in ["5m", "1h", "24h"] {
        let answer = fixture.averages("KV1", FROM, TO, interval).await;
        let windows = answer.windows();
        let [window] = &windows[..] else { panic!("{interval}: {windows:?}") };
        let sum: u32 = speeds.iter().sum();
        assert_eq!(answer.averages(), [f64::from(sum) / (1000.0 * 300.0)]);
        assert_eq!(window["count"], 300);
        assert_eq!(number(window, "min"), f64::from(*speeds.iter().min().unwrap()) / 1000.0);
        assert_eq!(number(window, "max"), f64::from(*speeds.iter().max().unwrap()) / 1000.0);
        assert_eq!(window["over_limit"], speeds.iter().filter(|speed| **speed > 90_000).count());
        let exact = exact(speeds.iter().copied().map(Speed::from_thousandths).collect());
        for (name, exact) in [("p50", exact.p50), ("p85", exact.p85), ("p95", exact.p95)] {
            assert!((number(window, name) - exact.kmh()).abs() <= 0.5, "{name} of {window}");
        }
    }
}

#[tokio::test]
async fn windows_that_start_in_the_span_are_answered_to_the_microsecond() {
    let mut fixture = Fixture::new().await;
    let times = ["10:00:00Z", "10:05:00Z", "10:10:00Z"];
    fixture.land(times.map(|time| event("KV1", &format!("2025-04-05T{time}"), 50_000))).await;
    let at = |time: &str| format!("2025-04-05T{time}Z");
    for (from, to, expected) in [
        ("10:00:00", "10:10:00", &times[..2]),
        ("10:00:00", "10:10:00.000001", &times[..]),
        ("10:00:00.000001", "10:10:00", &times[1..2]),
        ("09:59:59.999999", "10:00:00", &times[..0]),
        ("09:59:59.999999", "10:00:00.000001", &times[..1]),
        ("10:10:00", "10:10:00.000001", &times[2..]),
    ] {
        let starts = fixture.averages("KV1", &at(from), &at(to), "5m").await.starts();
        let expected: Vec<String> =
            expected.iter().map(|time| format!("2025-04-05T{time}")).collect();
        assert_eq!(starts, expected, "from {from} to {to}");
    }
}

#[tokio::test]
async fn a_plus_sign_in_an_offset_needs_no_encoding() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    for plus in ["+", "%2B", "%2b"] {
        let (from, to) =
            (format!("2025-04-05T13:15:00{plus}03:00"), format!("2025-04-05T13:20:00{plus}03:00"));
        let answer = fixture.averages("KV1", &from, &to, "5m").await;
        assert_eq!(answer.starts(), ["2025-04-05T10:15:00Z"], "{plus}");
        assert_eq!(answer.json()["from"], "2025-04-05T10:15:00Z");
    }
}

#[tokio::test]
async fn days_and_hours_follow_the_clock_changes_of_the_zone() {
    let mut fixture = Fixture::in_zone("Europe/Berlin").await;
    for (day, start, end, hours) in [
        ("2025-03-30", "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z", 23),
        ("2025-10-26", "2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z", 25),
    ] {
        let first = Timestamp::parse(start).unwrap();
        let hourly = |n| first.saturating_add(i64::from(n) * 3_600_000_000).to_string();
        fixture
            .land((0..hours).map(|n| event("KV1", &hourly(n), 50_000)).collect::<Vec<_>>())
            .await;
        for _ in ["provisional", "final"] {
            let days = fixture.averages("KV1", start, end, "24h").await.windows();
            assert_eq!(days.len(), 1, "{days:?}");
            assert_eq!(
                (&days[0]["window_start"], &days[0]["window_end"]),
                (&json!(start), &json!(end))
            );
            assert_eq!(days[0]["count"], hours);
            let starts = fixture.averages("KV1", start, end, "1h").await.starts();
            assert_eq!(starts, (0..hours).map(hourly).collect::<Vec<_>>());
            fixture.finalize(day).await;
        }
    }
}

#[tokio::test]
async fn ids_may_hold_any_characters() {
    let mut fixture = Fixture::new().await;
    for (camera, encoded) in [
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("Камера №1", "%D0%9A%D0%B0%D0%BC%D0%B5%D1%80%D0%B0%20%E2%84%961"),
        ("a+b?c#d%", "a+b%3Fc%23d%25"),
        ("\"quoted\"\n", "%22quoted%22%0A"),
        ("avg-speed", "avg-speed"),
    ] {
        fixture.land([event(camera, "2025-04-05T10:15:30Z", 50_000)]).await;
        let answer = fixture.averages(encoded, FROM, TO, "1h").await;
        assert_eq!(answer.windows().len(), 1, "{camera}");
        assert_eq!(answer.json()["kvfv_id"], camera);
    }
}

#[tokio::test]
async fn a_known_camera_without_windows_in_the_span_is_an_empty_list() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    for year in ["0001", "2024", "9998"] {
        let (from, to) = (format!("{year}-04-05T00:00:00Z"), format!("{year}-04-06T00:00:00Z"));
        let answer = fixture.averages("KV1", &from, &to, "5m").await;
        assert_eq!(answer.windows(), [] as [Value; 0]);
        assert_eq!(answer.json()["from"], from);
    }
    fixture.finalize("2025-04-05").await;
    let answer =
        fixture.averages("KV1", "2024-04-05T00:00:00Z", "2024-04-06T00:00:00Z", "1h").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn final_and_provisional_days_stand_side_by_side() {
    let mut fixture = Fixture::new().await;
    let days = ["2025-04-04T23:59:59.999999Z", "2025-04-05T00:00:00Z"];
    fixture.land(days.map(|time| event("KV1", time, 50_000))).await;
    fixture.finalize("2025-04-04").await;
    for interval in ["5m", "1h", "24h"] {
        let answer = fixture.averages("KV1", "2025-04-01T00:00:00Z", TO, interval).await;
        let statuses: Vec<_> =
            answer.windows().iter().map(|window| window["status"].clone()).collect();
        assert_eq!(statuses, ["final", "provisional"], "{interval}");
    }
}

#[tokio::test]
async fn exactly_as_many_windows_as_allowed_are_answered() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", FROM, 50_000)]).await;
    // 10,000 windows of five minutes are 34 days, 17 hours and 20 minutes.
    let answer = fixture.averages("KV1", FROM, "2025-05-09T17:20:00Z", "5m").await;
    assert_eq!(answer.starts(), [FROM]);
    for to in ["2025-05-09T17:20:00.000001Z", "2025-05-09T17:25:00Z"] {
        let answer = fixture.averages("KV1", FROM, to, "5m").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{to}");
        assert_eq!(answer.json()["parameter"], "to");
    }
    let hours = fixture.averages("KV1", FROM, "2026-05-26T16:00:00Z", "1h").await;
    assert_eq!(hours.status, StatusCode::OK);
    let days = fixture.averages("KV1", FROM, "2052-08-21T00:00:00Z", "24h").await;
    assert_eq!(days.status, StatusCode::OK);
    let days = fixture.averages("KV1", FROM, "2052-08-22T00:00:00Z", "24h").await;
    assert_eq!(days.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn files_of_other_writers_are_read_whatever_their_name() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    let calendar = lake_model::Calendar::utc();
    let time = Timestamp::parse("2025-04-05T12:00:00Z").unwrap();
    let window = calendar.span_at(time).window_at(lake_model::WindowSize::OneHour, time);
    let mut pane = lake_model::Pane::default();
    pane.add(Speed::from_thousandths(70_000), None);
    let row = lake_tables::avg_speed::AvgSpeedRow::provisional(
        "X".into(),
        window,
        KafkaPartition(0),
        pane,
        time,
    );
    fixture.add_file("event_date=2025-04-05/part-0.parquet", "2025-04-05", &[row]).await;
    fixture.refresh().await;
    let answer = fixture.averages("X", FROM, TO, "1h").await;
    assert_eq!(answer.starts(), ["2025-04-05T12:00:00Z"]);
}

const CAMERAS: [&str; 3] = ["KV1", "KV2", "KV3"];

/// Events of two days, in whole seconds, of few cameras and partitions.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0_usize..3, 0_i32..3, 0_i64..172_800, 0_u32..=200_000);
    let made = event.prop_map(|(camera, kafka_partition, second, speed)| Event {
        camera: CAMERAS[camera],
        kafka_partition,
        time: Timestamp::from_micros((1_743_811_200 + second) * 1_000_000),
        speed: Speed::from_thousandths(speed),
    });
    prop::collection::vec(made, 1..40)
}

/// Start, count and average of every window in the span, straight from the events. The zone is UTC, so that
/// windows begin at multiples of their length.
fn naive(events: &[Event], seconds: i64, from: i64, to: i64) -> Vec<(String, u64, f64)> {
    let mut windows = std::collections::BTreeMap::<i64, (u64, u32)>::new();
    for event in events.iter().filter(|event| event.camera == "KV1") {
        let second = event.time.micros() / 1_000_000;
        let window = windows.entry(second - second % seconds).or_default();
        *window = (window.0 + 1, window.1 + event.speed.thousandths());
    }
    windows
        .range(from..to)
        .map(|(start, (count, sum))| {
            let start = Timestamp::from_micros(start * 1_000_000).to_string();
            (start, *count, f64::from(*sum) / (1000 * count) as f64)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn an_answer_equals_a_filter_of_all_events(
        events in events(),
        first_day_is_final in any::<bool>(),
        interval in prop::sample::select(vec![("5m", 300), ("1h", 3600), ("24h", 86_400)]),
        (from, length) in (-1000_i64..172_800, 1_i64..100_000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (name, seconds) = interval;
        let from = 1_743_811_200 + from;
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000).to_string();
        let answered = runtime.block_on(async {
            let mut fixture = Fixture::new().await;
            fixture.land(events.clone()).await;
            if first_day_is_final {
                fixture.finalize("2025-04-05").await;
            }
            fixture.averages("KV1", &at(from), &at(from + length), name).await
        });
        if events.iter().any(|event| event.camera == "KV1") {
            let windows = answered.windows();
            let facts = windows.iter().zip(answered.averages()).map(|(window, average)| {
                let start = window["window_start"].as_str().unwrap().to_owned();
                (start, window["count"].as_u64().unwrap(), average)
            });
            prop_assert_eq!(facts.collect::<Vec<_>>(), naive(&events, seconds, from, from + length));
        } else {
            prop_assert_eq!(answered.status, StatusCode::NOT_FOUND);
        }
    }
}
