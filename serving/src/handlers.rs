//! The handlers: each reads its request, queries the store, and answers.

use axum::Json;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{Html, IntoResponse, Response};
use tracing::error;

use crate::problem::{Kind, Problem};
use crate::query::{AvgSpeedQuery, CamerasQuery, Interval};
use crate::response::{AvgSpeed, Cameras, Health};
use crate::state::App;
use crate::store::ReadError;

/// The media type of Prometheus's text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The averages of one camera.
#[utoipa::path(
    get,
    path = "/kvfv/{id}/avg-speed",
    operation_id = "avg_speed",
    tag = "averages",
    summary = "Average speeds of one camera",
    description = "The windows of one length that start in `[from, to)`, ascending; windows without events are left \
                   out. Parameters are percent-decoded only: a `+` is a plus sign. Each may be given once, and no \
                   others.",
    params(
        ("id" = String, Path, description = "The camera: 1 to 128 bytes of UTF-8, percent-encoded, so that it may \
            hold any characters (`/` is `%2F`); not `.` or `..`", min_length = 1, example = "KV12345"),
        ("from" = String, Query, description = "The first instant, RFC 3339 with any offset and of any year; or a date, \
            which is the first instant of that day in the pipeline's time zone", example = "2025-04-05T00:00:00Z"),
        ("to" = String, Query, description = "The first instant after, or a date likewise (so the day after the \
            last one), later than `from` by at most 10,000 windows (`serving.max_windows`)",
            example = "2025-04-06"),
        ("interval" = Interval, Query, description = "The length of the windows", example = "1h"),
    ),
    responses(
        (status = 200, description = "The windows; the list is empty where there are none", body = AvgSpeed),
        (status = 400, description = "A parameter is missing, unknown, repeated or malformed, `to` is not after \
            `from`, the span is too great, or the id can't be one", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "The table has no row of that camera", body = Problem,
            content_type = "application/problem+json"),
        (status = 500, description = "A file of the table is damaged", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Not ready, too many requests, or the store is unavailable; try again after \
            `Retry-After` seconds", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "No answer within `serving.request_timeout`", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn avg_speed(State(app): State<App>, uri: Uri) -> Result<Json<AvgSpeed>, Problem> {
    let days = || {
        let index = app.store().index().map_err(|error| read_problem(&uri, error))?;
        Ok(index.calendar().clone())
    };
    let query = AvgSpeedQuery::parse(uri.path(), uri.query(), app.settings().max_windows, days)?;
    let camera = query.camera.as_str();
    let windows = app.store().windows(camera, query.size, query.from.time, query.to.time).await;
    let windows = windows.map_err(|error| read_problem(&uri, error))?.ok_or_else(|| {
        let detail = format!(
            "camera {camera:?} has no rows: expected the id of a camera that has sent events, such as GET /kvfv lists"
        );
        Problem::at(uri.path(), Kind::UnknownCamera, detail)
    })?;
    Ok(Json(AvgSpeed::new(&query, &windows)))
}

/// The cameras.
#[utoipa::path(
    get,
    path = "/kvfv",
    operation_id = "cameras",
    tag = "averages",
    summary = "Cameras with their latest window",
    description = "Cameras in the order of their ids, byte by byte, each with its latest 5-minute window. For the \
                   next ones ask again with `after` set to `next`.",
    params(
        ("limit" = Option<u32>, Query, description = "Greatest number of cameras, 1000 if not given", minimum = 1,
            maximum = 10000, example = 100),
        ("after" = Option<String>, Query, description = "Only cameras whose ids come after this one",
            example = "KV12345"),
    ),
    responses(
        (status = 200, description = "The cameras", body = Cameras),
        (status = 400, description = "A parameter is unknown, repeated or malformed", body = Problem,
            content_type = "application/problem+json"),
        (status = 500, description = "A file of the table is damaged", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Not ready, too many requests, or the store is unavailable; try again after \
            `Retry-After` seconds", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "No answer within `serving.request_timeout`", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cameras(State(app): State<App>, uri: Uri) -> Result<Json<Cameras>, Problem> {
    let query = CamerasQuery::parse(uri.query())?;
    let after = query.after.as_ref().map(lake_model::CameraId::as_str);
    // One more than asked for shows whether others follow.
    let cameras = app.store().cameras(after, query.limit + 1).await;
    let cameras = cameras.map_err(|error| read_problem(&uri, error))?;
    Ok(Json(Cameras::new(cameras, query.limit)))
}

/// Whether the program is running.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "live",
    tag = "operations",
    summary = "Whether the program is running",
    responses((status = 200, description = "It is running", body = Health))
)]
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "live", table_version: None, refreshed_at: None, problem: None })
}

/// Whether requests can be answered.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "ready",
    tag = "operations",
    summary = "Whether requests can be answered",
    description = "Ready once the table has been loaded for the first time, and from then on even while the store is unavailable.",
    responses(
        (status = 200, description = "They can be answered", body = Health),
        (status = 503, description = "The table has not been loaded yet, and why", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ready(State(app): State<App>, uri: Uri) -> Result<Json<Health>, Problem> {
    let index = app.store().index().map_err(|error| read_problem(&uri, error))?;
    let health = app.store().health();
    Ok(Json(Health {
        status: "ready",
        table_version: Some(index.version().0),
        refreshed_at: health.refreshed_at.map(|time| time.to_string()),
        problem: health.problem,
    }))
}

/// The metrics.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operations",
    summary = "Metrics in Prometheus's text format",
    responses((status = 200, description = "The metrics", body = String,
        content_type = "text/plain; version=0.0.4; charset=utf-8"))
)]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    app.store().record_sample().await;
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], app.metrics().render()).into_response()
}

/// A page that lists the paths.
pub(crate) async fn index() -> Html<&'static str> {
    Html(include_str!("index.html"))
}

fn read_problem(uri: &Uri, error: ReadError) -> Problem {
    match error {
        ReadError::NotReady(reason) => Problem::at(uri.path(), Kind::NotReady, reason),
        ReadError::Lake(source) if source.is_transient() => {
            error!(%uri, error = %source, "a request failed because the lake is unavailable");
            let detail = "the lake is unavailable, and the rows requested are not held in memory: try again later";
            Problem::at(uri.path(), Kind::StoreUnavailable, detail)
        }
        ReadError::Lake(source) => {
            error!(%uri, error = %source, "a request failed because the table cannot be read");
            let detail = "the table can't be read: the server's log names the file";
            Problem::at(uri.path(), Kind::DamagedTable, detail)
        }
    }
}
