//! What the handlers and the middleware of one server share.

use std::sync::Arc;

use lake_config::{Serving, Settings};
use lake_delta::Lake;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;

use crate::metrics;
use crate::store::Store;

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
    pub fn new(lake: &Lake, settings: &Settings, metrics: PrometheusHandle) -> App {
        metrics::describe();
        let serving = &settings.serving;
        App {
            store: Arc::new(Store::new(lake, settings)),
            settings: serving.clone(),
            slots: Arc::new(Semaphore::new(
                serving.max_concurrent_requests.min(Semaphore::MAX_PERMITS),
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
