//! `GET /kvfv`: the cameras with their latest 5-minute window.

use axum::http::StatusCode;
use lake_model::{Calendar, KafkaPartition, Pane, Speed, Timestamp, WindowSize};
use lake_tables::avg_speed::AvgSpeedRow;
use serde_json::{Value, json};

use crate::fixture::{Fixture, event};

/// The ids of the answer, and whether and where it goes on.
async fn page(fixture: &Fixture, query: &str) -> (Vec<String>, Value) {
    let answer = fixture.get(&format!("/kvfv?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    let cameras = json["cameras"].as_array().unwrap();
    let id = |camera: &Value| camera["kvfv_id"].as_str().unwrap().to_owned();
    (cameras.iter().map(id).collect(), json["next"].clone())
}

async fn latest(fixture: &Fixture) -> Vec<(String, Value, Value)> {
    let json = fixture.get("/kvfv").await.json();
    let facts = |camera: &Value| {
        let id = camera["kvfv_id"].as_str().unwrap().to_owned();
        (id, camera["latest"]["window_start"].clone(), camera["latest"]["count"].clone())
    };
    json["cameras"].as_array().unwrap().iter().map(facts).collect()
}

#[tokio::test]
async fn an_empty_table_has_no_cameras() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.get("/kvfv").await.json(), json!({ "cameras": [], "next": null }));
}

#[tokio::test]
async fn each_camera_comes_with_its_latest_window_merged_over_partitions() {
    let mut fixture = Fixture::new().await;
    fixture
        .land([
            event("B", "2025-04-05T10:15:30Z", 50_000),
            event("B", "2025-04-05T23:59:59Z", 51_000),
            event("B", "2025-04-05T23:55:00Z", 53_000).of_partition(1),
            event("A", "2025-04-05T09:00:00Z", 60_000),
            event("A", "2025-04-04T23:00:00Z", 61_000),
            event("C", "2025-03-01T12:34:56Z", 62_000),
        ])
        .await;
    let expected = json!([
        ["A", "2025-04-05T09:00:00Z", 1],
        ["B", "2025-04-05T23:55:00Z", 2],
        ["C", "2025-03-01T12:30:00Z", 1],
    ]);
    assert_eq!(json!(latest(&fixture).await), expected);
    for day in ["2025-03-01", "2025-04-04", "2025-04-05"] {
        fixture.finalize(day).await;
        assert_eq!(json!(latest(&fixture).await), expected, "{day} is final");
    }
    let json = fixture.get("/kvfv").await.json();
    assert_eq!(
        json["cameras"][1]["latest"],
        json!({
            "window_start": "2025-04-05T23:55:00Z", "window_end": "2025-04-06T00:00:00Z",
            "avg_speed": 52.0, "count": 2, "min": 51.0, "max": 53.0, "p50": 51.0, "p85": 53.0, "p95": 53.0,
            "over_limit": null, "status": "final",
        })
    );
}

#[tokio::test]
async fn the_latest_window_follows_new_events() {
    let mut fixture = Fixture::new().await;
    for (time, start) in [
        ("2025-04-05T10:15:30Z", "2025-04-05T10:15:00Z"),
        ("2025-04-05T10:20:00Z", "2025-04-05T10:20:00Z"),
        ("2025-04-05T10:16:00Z", "2025-04-05T10:20:00Z"),
        ("2025-04-05T14:00:00Z", "2025-04-05T14:00:00Z"),
        ("2025-04-06T00:00:00Z", "2025-04-06T00:00:00Z"),
    ] {
        fixture.land([event("A", time, 50_000)]).await;
        assert_eq!(latest(&fixture).await[0].1, start, "after an event at {time}");
    }
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended() {
    let mut fixture = Fixture::new().await;
    let ids = ["a", "a/b", "b", "Z", "я"];
    fixture.land(ids.map(|id| event(id, "2025-04-05T10:15:30Z", 50_000))).await;
    assert_eq!(
        page(&fixture, "").await,
        (["Z", "a", "a/b", "b", "я"].map(String::from).to_vec(), Value::Null)
    );
    assert_eq!(page(&fixture, "limit=2").await, (vec!["Z".into(), "a".into()], json!("a")));
    assert_eq!(
        page(&fixture, "limit=2&after=a").await,
        (vec!["a/b".into(), "b".into()], json!("b"))
    );
    assert_eq!(page(&fixture, "after=b&limit=2").await, (vec!["я".into()], Value::Null));
    assert_eq!(
        page(&fixture, "after=a%2Fb&limit=2").await,
        (vec!["b".into(), "я".into()], Value::Null)
    );
    assert_eq!(page(&fixture, "after=%D1%8F").await, (vec![], Value::Null));
}

#[tokio::test]
async fn a_camera_is_known_by_any_row() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("A", "2025-04-05T10:15:30Z", 50_000)]).await;
    // The file of the day may be written less often than those of its hours, and the other way round.
    let time = Timestamp::parse("2025-04-05T10:15:30Z").unwrap();
    let span = Calendar::utc().span_at(time);
    for (camera, size, path) in [
        ("hours", WindowSize::FiveMinutes, "provisional-p1-h10"),
        ("days", WindowSize::Day, "provisional-p1-day"),
    ] {
        let mut pane = Pane::default();
        pane.add(Speed::from_thousandths(50_000), None);
        let row = AvgSpeedRow::provisional(
            camera.into(),
            span.window_at(size, time),
            KafkaPartition(1),
            pane,
            time,
        );
        let id = fixture.lake.unique_id();
        let path = format!("event_date=2025-04-05/{path}-{id}.parquet");
        fixture.add_file(&path, "2025-04-05", &[row]).await;
    }
    fixture.refresh().await;
    let start = "2025-04-05T10:15:00Z";
    let expected = json!([["A", start, 1], ["days", null, null], ["hours", start, 1]]);
    assert_eq!(json!(latest(&fixture).await), expected);
    let answer =
        fixture.averages("days", "2025-04-05T00:00:00Z", "2025-04-06T00:00:00Z", "5m").await;
    assert_eq!(answer.windows(), [] as [Value; 0]);
}
