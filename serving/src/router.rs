//! The router: which path is answered by whom, and what all requests go through.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use lake_config::Serving;
use lake_delta::Lake;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tower_http::trace::TraceLayer;

use crate::problem::{Kind, Problem};
use crate::store::Store;
use crate::{guard, handlers, measures};

/// What handlers share.
#[derive(Clone)]
pub struct App {
    store: Arc<Store>,
    settings: Serving,
    slots: Arc<Semaphore>,
    metrics: PrometheusHandle,
}

impl App {
    /// An application over the lake, whose store has not loaded anything yet.
    pub fn new(lake: &Lake, settings: &Serving, metrics: PrometheusHandle) -> App {
        measures::describe();
        App {
            store: Arc::new(Store::new(lake, settings)),
            settings: settings.clone(),
            slots: Arc::new(Semaphore::new(
                settings.max_concurrent_requests.min(Semaphore::MAX_PERMITS),
            )),
            metrics,
        }
    }

    /// The rows that are served.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The settings of the server.
    pub(crate) fn settings(&self) -> &Serving {
        &self.settings
    }

    /// Requests that may be begun.
    pub(crate) fn slots(&self) -> &Semaphore {
        &self.slots
    }

    /// What has been measured.
    pub(crate) fn metrics(&self) -> &PrometheusHandle {
        &self.metrics
    }
}

/// The paths of docs/contract.md. Questions to the store are limited in number and time; health and metrics are
/// always answered.
pub fn router(app: App) -> Router {
    let limited = Router::new()
        .route("/kvfv", get(handlers::cameras))
        .route("/kvfv/{id}/avg-speed", get(handlers::avg_speed))
        .route_layer(from_fn_with_state(app.clone(), guard::limit));
    Router::new()
        .merge(limited)
        .route("/", get(handlers::index))
        .route("/health/live", get(handlers::live))
        .route("/health/ready", get(handlers::ready))
        .route("/metrics", get(handlers::metrics))
        .route("/openapi.json", get(handlers::openapi))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        // A failure is logged where it is handled, with its cause.
        .layer(TraceLayer::new_for_http().on_failure(()))
        .layer(from_fn(guard::measure))
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
