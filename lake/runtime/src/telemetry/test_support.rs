//! A recorder of its own for each test.

use metrics_exporter_prometheus::PrometheusHandle;

use super::recorder_builder;

/// The pipeline whose metrics tests record.
pub(super) const PIPELINE: &str = "cameras";

/// A recorder of its own with one counter and one histogram.
pub(super) fn recorded() -> PrometheusHandle {
    let recorder = recorder_builder(PIPELINE).build_recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("lakehouse_things_total").increment(3);
        metrics::histogram!("lakehouse_commit_seconds").record(0.3);
    });
    recorder.handle()
}
