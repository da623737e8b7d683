//! What operators and programs ask beside averages: health, metrics, the description, the page of paths.

use axum::http::{Method, StatusCode, header};
use lake_config::Settings;
use lake_tables::last_runs::{Command, LastRun};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use serde_json::Value;
use serving::{App, router};

use crate::fixture::{Fixture, event};

#[tokio::test]
async fn live_is_answered_before_the_table_is_loaded_and_after() {
    let mut fixture = Fixture::without_table(&Settings::default());
    let answer = fixture.get("/health/live").await;
    assert_eq!((answer.status, answer.json()["status"].clone()), (StatusCode::OK, "live".into()));
    fixture.create_table().await;
    fixture.refresh().await;
    assert_eq!(fixture.get("/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn ready_tells_the_version_that_is_served() {
    let mut fixture = Fixture::new().await;
    assert_eq!(fixture.get("/health/ready").await.json()["table_version"], 0);
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    let answer = fixture.get("/health/ready").await.json();
    assert_eq!((&answer["status"], &answer["table_version"]), (&"ready".into(), &1.into()));
    assert!(answer["refreshed_at"].is_string());
}

/// The value of a metric without labels, or with the labels written.
fn metric(text: &str, name: &str) -> f64 {
    let line =
        text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// An empty lake whose metrics are those of `recorder`.
async fn recorded_by(recorder: &PrometheusRecorder) -> Fixture {
    let mut fixture = Fixture::new().await;
    fixture.app = App::new(&fixture.lake, &Settings::default(), recorder.handle());
    fixture.router = router(fixture.app.clone());
    fixture
}

#[tokio::test]
async fn metrics_tell_what_is_served_held_and_asked() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut fixture = recorded_by(&recorder).await;
    let spread = event("KV1", "2025-04-05T10:15:30Z", 50_000);
    fixture.land([spread.clone(), spread.of_partition(1)]).await;
    fixture.land([event("KV2", "2025-04-05T10:15:30Z", 50_000).of_partition(1)]).await;
    fixture.averages("KV1", "2025-04-05T00:00:00Z", "2025-04-06T00:00:00Z", "1h").await;
    fixture.averages("KV1", "x", "y", "1h").await;
    fixture.get("/nowhere/1").await;
    let answer = fixture.get("/metrics").await;
    assert_eq!(answer.content_type(), "text/plain; version=0.0.4; charset=utf-8");
    let value = |name: &str| metric(&answer.body, &format!("lambdalake_serving_{name}"));
    assert_eq!(value("table_version"), 2.0);
    assert_eq!(value("table_files"), 4.0);
    assert_eq!(value("cameras"), 2.0);
    assert_eq!(value("multi_partition_cameras"), 1.0);
    // Of partition 0 one camera, of partition 1 two, each with three windows; replaced files are let go.
    assert_eq!(value("cache_rows"), 9.0);
    assert!(value("cache_bytes") > 0.0);
    assert!(value("file_loads_total{outcome=\"loaded\"}") >= 6.0);
    assert!(value("refresh_age_seconds") >= 0.0);
    assert!(value("newest_row_age_seconds") >= -0.001);
    let averages = "route=\"/kvfv/{id}/avg-speed\"";
    assert_eq!(value(&format!("requests_total{{{averages},status=\"200\"}}")), 1.0);
    assert_eq!(value(&format!("requests_total{{{averages},status=\"400\"}}")), 1.0);
    assert_eq!(value("requests_total{route=\"other\",status=\"404\"}"), 1.0);
    assert_eq!(value(&format!("request_duration_seconds_count{{{averages}}}")), 2.0);
}

#[tokio::test]
async fn metrics_tell_which_day_is_overdue_and_when_the_batch_layer_ran() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut fixture = recorded_by(&recorder).await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    fixture.app.store().look_at_runs().await;
    let before = fixture.get("/metrics").await.body;
    assert!(metric(&before, "lambdalake_serving_day_overdue_seconds") > 86_400.0, "{before}");
    assert!(!before.contains("last_final"), "{before}");
    assert!(!before.contains("last_run_timestamp_seconds{"), "{before}");

    fixture.finalize("2025-04-05").await;
    LastRun::record(&fixture.lake, Command::Nightly, true).await.unwrap();
    LastRun::record(&fixture.lake, Command::Audit, false).await.unwrap();
    fixture.app.store().look_at_runs().await;
    let after = fixture.get("/metrics").await.body;
    assert_eq!(metric(&after, "lambdalake_serving_day_overdue_seconds"), 0.0);
    assert!(metric(&after, "lambdalake_serving_last_final_timestamp_seconds") > 0.0);
    for (series, is_there) in [
        ("last_run_timestamp_seconds{command=\"nightly\"}", true),
        ("last_success_timestamp_seconds{command=\"nightly\"}", true),
        ("last_run_timestamp_seconds{command=\"audit\"}", true),
        ("last_success_timestamp_seconds{command=\"audit\"}", false),
        ("last_run_timestamp_seconds{command=\"maintain\"}", false),
    ] {
        assert_eq!(after.contains(&format!("lambdalake_serving_{series}")), is_there, "{after}");
    }
}

#[tokio::test]
async fn the_description_names_every_path_parameter_and_problem() {
    let fixture = Fixture::new().await;
    let answer = fixture.get("/openapi.json").await;
    assert_eq!(answer.content_type(), "application/json");
    let description = answer.json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
    paths.sort();
    let expected = [
        "/health/live",
        "/health/ready",
        "/kvfv",
        "/kvfv/{id}/avg-speed",
        "/metrics",
        "/openapi.json",
    ];
    assert_eq!(paths, expected);
    let averages = &description["paths"]["/kvfv/{id}/avg-speed"]["get"];
    let parameters = averages["parameters"].as_array().unwrap();
    let names: Vec<_> = parameters.iter().map(|parameter| parameter["name"].clone()).collect();
    assert_eq!(names, ["id", "from", "to", "interval"]);
    assert!(parameters.iter().all(|parameter| parameter["required"] == true));
    assert!(parameters.iter().all(|parameter| !parameter["example"].is_null()));
    for status in ["400", "404", "500", "503", "504"] {
        let content = &averages["responses"][status]["content"]["application/problem+json"];
        assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{status}");
    }
}

/// Every `$ref` in `value`.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str).map(str::to_owned);
            map.values().flat_map(references).chain(own).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_description_holds_all_it_refers_to_and_answers_have_its_fields() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    let description = fixture.get("/openapi.json").await.json();
    for reference in references(&description) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
    let answer =
        fixture.averages("KV1", "2025-04-05T00:00:00Z", "2025-04-06T00:00:00Z", "1h").await.json();
    for (schema, object) in [("AvgSpeed", &answer), ("Window", &answer["windows"][0])] {
        let required = description["components"]["schemas"][schema]["required"].as_array().unwrap();
        let mut required: Vec<&str> = required.iter().map(|name| name.as_str().unwrap()).collect();
        let mut fields: Vec<&str> =
            object.as_object().unwrap().keys().map(String::as_str).collect();
        required.sort_unstable();
        fields.sort_unstable();
        assert_eq!(required, fields, "{schema}");
    }
    let intervals = &description["components"]["schemas"]["Interval"]["enum"];
    assert_eq!(*intervals, serde_json::json!(["5m", "1h", "24h"]));
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    let averages =
        "/kvfv/KV1/avg-speed?from=2025-04-05T00:00:00Z&to=2025-04-06T00:00:00Z&interval=1h";
    for uri in
        [averages, "/kvfv", "/", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/x"]
    {
        let (get, head) = (fixture.get(uri).await, fixture.ask(Method::HEAD, uri).await);
        assert_eq!(head.status, get.status, "{uri}");
        assert_eq!(head.content_type(), get.content_type());
        assert!(head.body.is_empty(), "{head:?}");
    }
}

#[tokio::test]
async fn the_first_page_lists_the_paths() {
    let fixture = Fixture::without_table(&Settings::default());
    let answer = fixture.get("/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    for path in ["/kvfv", "/avg-speed", "/openapi.json", "/metrics", "/health/ready"] {
        assert!(answer.body.contains(path), "{path}");
    }
}
