//! What every request passes before and after its handler: limits of number and time, and measurement.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};

use crate::metrics;
use crate::problem::{Kind, Problem};
use crate::state::App;

/// Answers within the time that the settings allow, unless as many requests as they allow are being answered.
pub(crate) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let settings = app.settings();
    let Ok(_slot) = app.slots().try_acquire() else {
        let detail = format!(
            "{} requests are being answered (serving.max_concurrent_requests): try again in a second",
            settings.max_concurrent_requests
        );
        return Problem::at(&path, Kind::Overloaded, detail).into_response();
    };
    match timeout(settings.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!(
                "there was no answer within {:?} (serving.request_timeout): ask for less, or try again when the \
                 store is faster",
                settings.request_timeout
            );
            Problem::at(&path, Kind::TimedOut, detail).into_response()
        }
    }
}

/// Counts the request and measures its time.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    metrics::request_answered(route, response.status().as_u16(), started.elapsed());
    response
}
