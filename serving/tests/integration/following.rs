//! Following the table: what commits, outages and vacuum mean for answers.

use axum::http::StatusCode;
use lake_config::Settings;

use crate::fixture::{Fixture, event};

const FROM: &str = "2025-04-05T00:00:00Z";
const TO: &str = "2025-04-06T00:00:00Z";

#[tokio::test]
async fn a_table_that_is_created_later_makes_the_server_ready() {
    let mut fixture = Fixture::without_table(&Settings::default());
    assert!(fixture.app.store().refresh().await.is_err());
    let answer = fixture.get("/health/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("there is no table avg_speed"), "{detail}");
    assert!(detail.contains("speed-layer run"), "{detail}");
    fixture.create_table().await;
    fixture.refresh().await;
    assert_eq!(fixture.get("/health/ready").await.status, StatusCode::OK);
    assert_eq!(fixture.averages("KV1", FROM, TO, "1h").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn provisional_rows_become_final_at_the_next_refresh() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    // Another event of the day that only the batch sees, as one that came late.
    fixture.commit_provisional([event("KV1", "2025-04-05T10:16:00Z", 70_100)]).await;
    let before = fixture.averages("KV1", FROM, TO, "1h").await.windows();
    assert_eq!((&before[0]["status"], &before[0]["count"]), (&"provisional".into(), &1.into()));
    fixture.finalize("2025-04-05").await;
    for interval in ["5m", "1h", "24h"] {
        let after = fixture.averages("KV1", FROM, TO, interval).await.windows();
        assert_eq!((&after[0]["status"], &after[0]["count"]), (&"final".into(), &2.into()));
        assert_eq!(after[0]["p95"], 70.1);
    }
}

#[tokio::test]
async fn a_commit_replaces_the_rows_of_its_files() {
    let mut fixture = Fixture::new().await;
    for count in 1..=5 {
        fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
        let windows = fixture.averages("KV1", FROM, TO, "5m").await.windows();
        assert_eq!(windows.len(), 1);
        assert_eq!(windows[0]["count"], count);
    }
}

#[tokio::test]
async fn a_file_that_is_vacuumed_between_index_and_read_is_not_missed() {
    let mut fixture = Fixture::with_settings(|serving| serving.cache_bytes = 0).await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    let old = fixture.paths();
    fixture.commit_provisional([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    for path in old {
        fixture.delete(&path).await;
    }
    // The store has not been refreshed: the request itself finds out.
    let windows = fixture.averages("KV1", FROM, TO, "1h").await.windows();
    assert_eq!(windows[0]["count"], 2);
}

#[tokio::test]
async fn a_file_that_the_table_names_and_nobody_has_is_an_error_after_some_tries() {
    let mut fixture = Fixture::with_settings(|serving| serving.cache_bytes = 0).await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    for path in fixture.paths() {
        fixture.delete(&path).await;
    }
    let answer = fixture.averages("KV1", FROM, TO, "1h").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_outage_leaves_what_is_held_and_ends_by_itself() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    fixture.commit_provisional([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    fixture.outage.begin();
    assert!(fixture.app.store().refresh().await.is_err());
    let ready = fixture.get("/health/ready").await;
    assert_eq!(ready.status, StatusCode::OK);
    assert!(ready.json()["problem"].as_str().unwrap().contains("out of reach"), "{ready:?}");
    let windows = fixture.averages("KV1", FROM, TO, "1h").await.windows();
    assert_eq!(windows[0]["count"], 1);
    fixture.outage.end();
    fixture.refresh().await;
    assert!(fixture.get("/health/ready").await.json().get("problem").is_none());
    let windows = fixture.averages("KV1", FROM, TO, "1h").await.windows();
    assert_eq!(windows[0]["count"], 2);
}

#[tokio::test]
async fn an_outage_that_begins_before_the_first_load_is_the_reason_for_not_being_ready() {
    let fixture = Fixture::without_table(&Settings::default());
    fixture.outage.begin();
    assert!(fixture.app.store().refresh().await.is_err());
    let ready = fixture.get("/health/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.body.contains("out of reach"), "{ready:?}");
}

#[tokio::test]
async fn what_is_not_held_during_an_outage_is_a_service_that_is_unavailable() {
    let mut fixture = Fixture::with_settings(|serving| serving.cache_bytes = 0).await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    fixture.outage.begin();
    let answer = fixture.averages("KV1", FROM, TO, "1h").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body.contains("the lake is unavailable"), "{answer:?}");
    fixture.outage.end();
    assert_eq!(fixture.averages("KV1", FROM, TO, "1h").await.windows().len(), 1);
}

#[tokio::test]
async fn a_commit_whose_files_cannot_be_read_yet_is_taken_up_once_they_can() {
    let mut fixture = Fixture::new().await;
    fixture.land([event("KV1", "2025-04-05T10:15:30Z", 50_000)]).await;
    fixture.commit_provisional([event("KV2", "2025-04-05T10:15:30Z", 50_000)]).await;
    let new = fixture.paths().into_iter().find(|path| path.contains("-day-")).unwrap();
    fixture.delete(&new).await;
    assert!(fixture.app.store().refresh().await.is_err());
    assert_eq!(fixture.averages("KV1", FROM, TO, "24h").await.windows()[0]["count"], 1);
    fixture.finalize("2025-04-05").await;
    assert_eq!(fixture.averages("KV2", FROM, TO, "24h").await.windows()[0]["count"], 1);
}
