//! The router: which handler answers which path, and what all requests pass.

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tower_http::trace::TraceLayer;

use crate::problem::{Kind, Problem};
use crate::state::App;
use crate::{handlers, middleware, openapi};

/// The paths of docs/contract.md. Questions to the store are limited in number and time; health and metrics are
/// always answered.
pub fn router(app: App) -> Router {
    let limited = Router::new()
        .route("/kvfv", get(handlers::cameras))
        .route("/kvfv/{id}/avg-speed", get(handlers::avg_speed))
        .route_layer(from_fn_with_state(app.clone(), middleware::limit));
    Router::new()
        .merge(limited)
        .route("/", get(handlers::index))
        .route("/health/live", get(handlers::live))
        .route("/health/ready", get(handlers::ready))
        .route("/metrics", get(handlers::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        // A failure is logged where it is handled, with its cause.
        .layer(TraceLayer::new_for_http().on_failure(()))
        .layer(from_fn(middleware::measure))
        .with_state(app)
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = "nothing is served at this path: expected one that GET / lists; a slash in a camera id is \
                  written %2F";
    Problem::at(uri.path(), Kind::UnknownPath, detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not answered at this path: expected GET or HEAD");
    Problem::at(uri.path(), Kind::MethodNotAllowed, detail)
}
