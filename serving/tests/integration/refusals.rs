//! Requests that are refused: each with problem details that name what is at fault and what was expected.

use std::time::Duration;

use axum::http::{Method, StatusCode, header};
use lake_config::Settings;

use crate::fixture::{Answer, Fixture, event};

const GOOD: &str = "from=2025-04-05T00:00:00Z&to=2025-04-06T00:00:00Z&interval=1h";

/// Checks that an answer is problem details of that status, whose detail holds `expected`.
fn assert_problem(answer: &Answer, status: StatusCode, expected: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.content_type(), "application/problem+json", "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status.as_u16());
    let kind = problem["type"].as_str().unwrap();
    assert!(kind.starts_with("urn:lambdalake:problem:"), "{kind}");
    assert!(problem["title"].is_string());
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(expected), "{detail:?} does not hold {expected:?}");
    assert!(problem["parameter"].is_string() ^ problem["instance"].is_string(), "{problem}");
    let retries = answer.headers.get(header::RETRY_AFTER).is_some();
    assert_eq!(retries, status == StatusCode::SERVICE_UNAVAILABLE);
}

async fn with_camera() -> Fixture {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    fixture
}

#[tokio::test]
async fn every_bad_parameter_of_averages_is_named_with_what_was_expected() {
    let fixture = with_camera().await;
    let (from, to) = ("from=2025-04-05T00:00:00Z", "to=2025-04-06T00:00:00Z");
    let is_missing = "is missing: expected";
    let rfc_3339 = "expected an RFC 3339 time";
    let interval = "expected 5m, 1h or 24h";
    for (query, parameter, expected) in [
        (format!("{to}&interval=1h"), "from", is_missing),
        (format!("{from}&interval=1h"), "to", is_missing),
        (format!("{from}&{to}"), "interval", is_missing),
        (String::new(), "from", is_missing),
        (
            format!("{GOOD}&limit=3"),
            "limit",
            "unknown parameter \"limit\": expected only from, to, interval",
        ),
        (format!("{GOOD}&From=x"), "From", "unknown parameter"),
        (format!("{GOOD}&=x"), "", "unknown parameter"),
        (format!("{GOOD}&interval=1h"), "interval", "more than once"),
        (format!("{GOOD}&%66rom=2025-04-05T00:00:00Z"), "from", "more than once"),
        (format!("from=2025-04-05Z&{to}&interval=1h"), "from", rfc_3339),
        (format!("from=2025-04-05T00:00:00&{to}&interval=1h"), "from", rfc_3339),
        (format!("from=2025-04-05%2000:00:00Z&{to}&interval=1h"), "from", rfc_3339),
        (format!("from=2025-04-05+00:00:00Z&{to}&interval=1h"), "from", rfc_3339),
        (format!("from=2025-04-05T00:00:60Z&{to}&interval=1h"), "from", rfc_3339),
        (format!("from=2025-02-29T00:00:00Z&{to}&interval=1h"), "from", rfc_3339),
        (format!("from=2025-04-05T00:00:00%200300&{to}&interval=1h"), "from", rfc_3339),
        (format!("from=1743811200&{to}&interval=1h"), "from", rfc_3339),
        (format!("from&{to}&interval=1h"), "from", rfc_3339),
        (format!("{from}&to=&interval=1h"), "to", rfc_3339),
        (format!("{from}&to=tomorrow&interval=1h"), "to", rfc_3339),
        (format!("{from}&{to}&interval=10m"), "interval", interval),
        (format!("{from}&{to}&interval=1H"), "interval", interval),
        (format!("{from}&{to}&interval="), "interval", interval),
        (format!("{from}&{to}&interval=%201h"), "interval", interval),
        (format!("{from}&to=2025-04-05T00:00:00Z&interval=1h"), "to", "is not after from"),
        (format!("{from}&to=2025-04-05T03:00:00+03:00&interval=1h"), "to", "is not after from"),
        (format!("{from}&to=2024-04-05T00:00:00Z&interval=1h"), "to", "expected a later instant"),
        (format!("{from}&to=2026-04-05T00:00:00Z&interval=5m"), "to", "serving.max_windows"),
        (
            "from=0000-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&interval=24h".to_owned(),
            "to",
            "more than 10000 windows of 24h",
        ),
        (format!("from=%zz&{to}&interval=1h"), "from", "percent-encoded UTF-8"),
        (format!("from=%2&{to}&interval=1h"), "from", "percent-encoded UTF-8"),
        (format!("from=%FF&{to}&interval=1h"), "from", "percent-encoded UTF-8"),
        (format!("{GOOD}&%FF=1"), "%FF", "percent-encoded UTF-8"),
    ] {
        for camera in ["KV1", "unknown"] {
            let answer = fixture.get(&format!("/kvfv/{camera}/avg-speed?{query}")).await;
            assert_problem(&answer, StatusCode::BAD_REQUEST, expected);
            assert_eq!(answer.json()["parameter"], parameter, "{query}");
        }
    }
}

#[tokio::test]
async fn a_path_that_holds_no_camera_id_is_a_bad_request() {
    let fixture = with_camera().await;
    let long = "x".repeat(129);
    for segment in ["", ".", "..", "%2E%2e", "%zz", "%4", "%FF", "%C3%28", long.as_str()] {
        let answer = fixture.get(&format!("/kvfv/{segment}/avg-speed?{GOOD}")).await;
        assert_problem(&answer, StatusCode::BAD_REQUEST, "expected a camera id of 1 to 128 bytes");
        assert_eq!(answer.json()["instance"], format!("/kvfv/{segment}/avg-speed"));
    }
}

#[tokio::test]
async fn an_unknown_camera_is_not_found() {
    let fixture = with_camera().await;
    for camera in ["KV2", "kv1", "KV1%20", "KV", "%22"] {
        let answer = fixture.get(&format!("/kvfv/{camera}/avg-speed?{GOOD}")).await;
        assert_problem(
            &answer,
            StatusCode::NOT_FOUND,
            "expected the id of a camera that has sent events",
        );
        assert_eq!(answer.json()["type"], "urn:lambdalake:problem:unknown-camera");
    }
}

#[tokio::test]
async fn every_bad_parameter_of_cameras_is_named_with_what_was_expected() {
    let fixture = with_camera().await;
    let number = "expected a whole number from 1 to 10000";
    for (query, parameter, expected) in [
        ("limit=0", "limit", number),
        ("limit=10001", "limit", number),
        ("limit=-1", "limit", number),
        ("limit=+1", "limit", number),
        ("limit=1e3", "limit", number),
        ("limit=", "limit", number),
        ("limit=99999999999999999999999", "limit", number),
        ("after=", "after", "expected a camera id"),
        ("after=..", "after", "expected a camera id"),
        ("limit=1&limit=1", "limit", "more than once"),
        ("from=2025-04-05T00:00:00Z", "from", "expected only limit, after"),
    ] {
        let answer = fixture.get(&format!("/kvfv?{query}")).await;
        assert_problem(&answer, StatusCode::BAD_REQUEST, expected);
        assert_eq!(answer.json()["parameter"], parameter, "{query}");
    }
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let fixture = with_camera().await;
    for path in
        ["/kvfv/", "/kvfv/KV1", "/kvfv/a/b/avg-speed", "/kvfv/KV1/avg-speed/", "/x", "/health"]
    {
        let answer = fixture.get(&format!("{path}?{GOOD}")).await;
        assert_problem(&answer, StatusCode::NOT_FOUND, "nothing is served at this path");
        assert_eq!(answer.json()["instance"], path);
    }
}

#[tokio::test]
async fn other_methods_than_get_and_head_are_not_allowed() {
    let fixture = with_camera().await;
    let averages = format!("/kvfv/KV1/avg-speed?{GOOD}");
    for uri in
        [&averages, "/kvfv", "/", "/health/live", "/health/ready", "/metrics", "/openapi.json"]
    {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answer = fixture.ask(method, uri).await;
            assert_problem(&answer, StatusCode::METHOD_NOT_ALLOWED, "expected GET or HEAD");
            assert_eq!(answer.headers[header::ALLOW], "GET,HEAD", "{uri}");
        }
    }
}

#[tokio::test]
async fn before_the_table_is_loaded_bad_requests_are_told_first() {
    let fixture = Fixture::without_table(&Settings::default());
    let averages = format!("/kvfv/KV1/avg-speed?{GOOD}");
    for uri in [averages.as_str(), "/kvfv", "/health/ready"] {
        let answer = fixture.get(uri).await;
        assert_problem(&answer, StatusCode::SERVICE_UNAVAILABLE, "avg_speed");
    }
    let answer = fixture.get("/kvfv/KV1/avg-speed").await;
    assert_problem(&answer, StatusCode::BAD_REQUEST, "from is missing");
}

#[tokio::test]
async fn requests_beyond_the_allowed_number_are_shed_and_health_is_answered() {
    let fixture = Fixture::with_settings(|serving| serving.max_concurrent_requests = 0).await;
    let answer = fixture.get("/kvfv").await;
    assert_problem(&answer, StatusCode::SERVICE_UNAVAILABLE, "serving.max_concurrent_requests");
    for uri in ["/", "/health/live", "/health/ready", "/metrics", "/openapi.json"] {
        assert_eq!(fixture.get(uri).await.status, StatusCode::OK, "{uri}");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_told_so() {
    let mut fixture = Fixture::with_settings(|serving| {
        serving.request_timeout = Duration::from_millis(1);
        serving.cache_bytes = 0;
    })
    .await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    fixture.outage.stall();
    let answer = fixture.get(&format!("/kvfv/KV1/avg-speed?{GOOD}")).await;
    assert_problem(&answer, StatusCode::GATEWAY_TIMEOUT, "serving.request_timeout");
}

#[tokio::test]
async fn a_damaged_file_fails_its_own_windows_only() {
    let mut fixture = Fixture::with_settings(|serving| serving.cache_bytes = 0).await;
    fixture.commit_provisional([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    let hour = fixture.paths().into_iter().find(|path| path.contains("-h10-")).unwrap();
    fixture.damage(&hour).await;
    fixture.refresh().await;
    let answer = fixture.get(&format!("/kvfv/KV1/avg-speed?{GOOD}")).await;
    assert_problem(&answer, StatusCode::INTERNAL_SERVER_ERROR, "can't be read");
    let days = GOOD.replace("interval=1h", "interval=24h");
    let answer = fixture.get(&format!("/kvfv/KV1/avg-speed?{days}")).await;
    assert_eq!(answer.windows().len(), 1);
}
