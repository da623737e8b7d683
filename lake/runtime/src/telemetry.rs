//! Logs and metrics of a program.
//!
//! Logs go to standard error: text on a terminal, one JSON object a line elsewhere. Metrics gather in
//! the recorder that [`install_metrics`] makes and leave it in one of two ways: a program that stays
//! serves them with [`serve_metrics`], one that ends writes them to a file with [`write_textfile`].

mod endpoint;
mod process;
#[cfg(test)]
mod test_support;

use std::io;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub use self::endpoint::serve_metrics;

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

/// Makes the process's recorder of metrics, with a thread for its housekeeping. Further calls
/// return the same one.
pub fn install_metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let handle = recorder_builder()
                .install_recorder()
                .expect("nothing else in these programs installs a recorder");
            start_upkeep(handle.clone());
            handle
        })
        .clone()
}

/// Writes the metrics to the file `path` for Prometheus's textfile collector, which sees the old text
/// or the new one, never a part.
///
/// # Errors
/// The file cannot be written; the message names it and the setting.
pub async fn write_textfile(handle: &PrometheusHandle, path: &Path) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let written = async {
        tokio::fs::write(&temporary, handle.render()).await?;
        tokio::fs::rename(&temporary, path).await
    };
    let Err(error) = written.await else { return Ok(()) };
    // What is left of it is of no use, and of no harm: the collector ignores the name.
    let _ = tokio::fs::remove_file(&temporary).await;
    let message = format!(
        "write the metrics to batch.metrics_file = {path:?}: {error}; name a file in a folder that \
         exists and that this user may write, or \"\" for none"
    );
    Err(io::Error::new(error.kind(), message))
}

fn recorder_builder() -> PrometheusBuilder {
    PrometheusBuilder::new()
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
    #![allow(clippy::unwrap_used)]

    use super::test_support::recorded;
    use super::*;

    #[tokio::test]
    async fn the_text_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lambdalake.prom");
        std::fs::write(&path, "old").unwrap();
        write_textfile(&recorded(), &path).await.unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("lakehouse_things_total 3"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_text_file_that_cannot_be_written_names_the_setting_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("lambdalake.prom");
        let message = write_textfile(&recorded(), &path).await.unwrap_err().to_string();
        assert!(message.contains("batch.metrics_file = "), "{message}");
        assert!(message.contains("lambdalake.prom"), "{message}");
        assert!(message.contains("folder that exists"), "{message}");
    }

    #[test]
    fn metrics_are_installed_once_however_often_they_are_asked_for() {
        let first = install_metrics();
        metrics::counter!("lakehouse_installed_total").increment(1);
        assert!(first.render().contains("lakehouse_installed_total"));
        assert!(install_metrics().render().contains("lakehouse_installed_total"));
    }

    #[test]
    fn logging_can_be_started_twice() {
        init_logging();
        init_logging();
    }
}
