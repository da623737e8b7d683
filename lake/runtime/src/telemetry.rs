//! Logs and metrics of a program.
//!
//! Logs go to standard error: text on a terminal, one JSON object a line elsewhere. Metrics gather in
//! the recorder that [`install_metrics`] makes and leave it in one of two ways: a program that stays
//! serves them with [`serve_metrics`], one that ends writes them to a file with [`write_textfile`].

mod endpoint;
mod process;
#[cfg(test)]
mod test_support;
mod textfile;

use std::io;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub use self::endpoint::serve_metrics;
pub use self::textfile::write_textfile;

/// Time between the recorder's housekeeping, without which its histograms keep every sample.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of histograms whose names end in `_seconds`: from a cache hit to a
/// nightly run.
const SECONDS_BUCKETS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0, 7200.0,
];

/// What is logged without `RUST_LOG`. The libraries that checkpoint logs report every step at `info`, and the object store's
/// every retry, of which the lake reports the first and a summary a minute.
const DEFAULT_FILTER: &str =
    "info,buoyant_kernel=warn,buoyant_kernel_engine=warn,deltalake_core=warn,object_store=warn";

/// Sends the program's logs to standard error. `RUST_LOG` says which; `info` and worse without it.
/// A second call changes nothing.
pub fn init_logging() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let filter = match std::env::var("RUST_LOG") {
        Ok(chosen) if !chosen.is_empty() => filter.parse_lossy(chosen),
        _ => filter.parse_lossy(DEFAULT_FILTER),
    };
    // Lines that cannot be written, as to a full disk or to a reader that is gone, are lost and nothing else: to report that,
    // the library would panic.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .log_internal_errors(false);
    // The only failure is that logs are sent somewhere already.
    let _already_sent = match io::stderr().is_terminal() {
        true => logs.try_init(),
        false => logs.json().try_init(),
    };
}

/// Makes the process's recorder of metrics, with a thread for its housekeeping. Every series has the name of the `pipeline` as a
/// label, and one series has the version of the `program`. Further calls return the same recorder.
pub fn install_metrics(program: &'static str, pipeline: &str) -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let handle = recorder_builder(pipeline)
                .install_recorder()
                .expect("nothing else in these programs installs a recorder");
            start_upkeep(handle.clone());
            process::record_build(program);
            handle
        })
        .clone()
}

fn recorder_builder(pipeline: &str) -> PrometheusBuilder {
    PrometheusBuilder::new()
        .add_global_label("pipeline", pipeline)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .expect("there are buckets")
}

#[expect(clippy::disallowed_methods, reason = "the thread is there to sleep and nothing else")]
fn start_upkeep(handle: PrometheusHandle) {
    let upkeep = move || {
        loop {
            std::thread::sleep(UPKEEP_INTERVAL);
            handle.run_upkeep();
        }
    };
    let thread = std::thread::Builder::new().name("metrics-upkeep".to_owned());
    if let Err(error) = thread.spawn(upkeep) {
        warn!(%error, "no thread for the housekeeping of metrics; their memory grows until they are read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_installed_once_however_often_they_are_asked_for() {
        let first = install_metrics("speed-layer", "cameras");
        metrics::counter!("lakehouse_installed_total").increment(1);
        assert!(first.render().contains("lakehouse_installed_total"));
        let second = install_metrics("speed-layer", "cameras");
        assert!(second.render().contains("lakehouse_installed_total{pipeline=\"cameras\"} 1"));
        let version = env!("CARGO_PKG_VERSION");
        let build = format!(
            "lambdalake_build_info{{pipeline=\"cameras\",program=\"speed-layer\",version=\"{version}\"}} 1"
        );
        assert!(second.render().contains(&build), "{}", second.render());
    }

    #[test]
    fn logging_can_be_started_twice() {
        init_logging();
        init_logging();
    }
}
