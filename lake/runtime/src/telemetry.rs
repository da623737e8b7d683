//! Logs and metrics of a program.
//!
//! Logs go to standard error: text on a terminal, one JSON object a line elsewhere. Metrics gather in
//! the recorder that [`install_metrics`] makes and leave it in one of two ways: a program that stays
//! serves them with [`serve_metrics`], one that ends writes them to a file with [`write_textfile`].
//!
//! The endpoint answers one path and is spoken here over plain TCP, so that programs without an HTTP server
//! need none for it. It is bounded in every way: size of a request, time for one, connections.

mod process;

use std::io;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Largest head of a request, in bytes.
const MAX_REQUEST_BYTES: usize = 8 * 1024;
/// Longest time that a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at a time; more of them wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// Wait after a failure to accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time between the recorder's housekeeping, without which its histograms keep every sample.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of histograms whose names end in `_seconds`: from a cache hit to a
/// nightly run.
const SECONDS_BUCKETS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0, 7200.0,
];

/// What is logged without `RUST_LOG`. The libraries that checkpoint logs report every step at `info`.
const DEFAULT_FILTER: &str =
    "info,buoyant_kernel=warn,buoyant_kernel_engine=warn,deltalake_core=warn";

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

/// Serves the metrics at `http://<listen>/metrics` until the future is dropped. An address that
/// cannot be had is no reason to stop the work: it is logged, and the future ends.
pub async fn serve_metrics(listen: SocketAddr, handle: PrometheusHandle) {
    match TcpListener::bind(listen).await {
        Ok(listener) => {
            let address = listener.local_addr().unwrap_or(listen);
            info!(%address, "serving metrics at /metrics");
            answer_connections(listener, handle).await;
        }
        Err(error) => warn!(
            %error,
            "metrics are not served: speed.metrics_listen = \"{listen}\" is unavailable; name a free \
             address, or \"\" for none"
        ),
    }
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

async fn answer_connections(listener: TcpListener, handle: PrometheusHandle) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let handle = handle.clone();
        connections.spawn(async move {
            // A client that goes away or dawdles is its own concern.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, answer(stream, &handle)).await;
        });
    }
}

/// Answers one request, and closes the connection.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handle: &PrometheusHandle,
) -> io::Result<()> {
    let (status, body) = match read_head(&mut stream).await? {
        None => ("431 Request Header Fields Too Large", "the request is too large\n".to_owned()),
        Some(head) if asks_for_metrics(&head) => {
            process::record().await;
            ("200 OK", handle.render())
        }
        Some(_) => ("404 Not Found", "only GET /metrics is answered here\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The head of a request, or what came of it before the client stopped; `None` if it is too large.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let read = stream.read(&mut chunk).await?;
        head.extend_from_slice(&chunk[..read]);
        if head.len() > MAX_REQUEST_BYTES {
            return Ok(None);
        }
        if read == 0 || head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            return Ok(Some(head));
        }
    }
}

fn asks_for_metrics(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let path = |target: &[u8]| target.split(|byte| *byte == b'?').next() == Some(b"/metrics");
    words.next() == Some(b"GET") && words.next().is_some_and(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tokio::net::TcpStream;

    /// A recorder of its own with one counter and one histogram.
    fn recorded() -> PrometheusHandle {
        let recorder = recorder_builder().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("lakehouse_things_total").increment(3);
            metrics::histogram!("lakehouse_commit_seconds").record(0.3);
        });
        recorder.handle()
    }

    async fn ask(request: &str) -> String {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        answer(server, &recorded()).await.unwrap();
        let mut answered = String::new();
        client.read_to_string(&mut answered).await.unwrap();
        answered
    }

    #[tokio::test]
    async fn get_metrics_is_answered_with_counters_and_buckets_in_seconds() {
        for request in
            ["GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics?x=1 HTTP/1.0\r\n\r\n"]
        {
            let answered = ask(request).await;
            assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{answered}");
            assert!(answered.contains("lakehouse_things_total 3"), "{answered}");
            assert!(
                answered.contains("lakehouse_commit_seconds_bucket{le=\"0.5\"} 1"),
                "{answered}"
            );
        }
    }

    #[tokio::test]
    async fn anything_else_is_not_found() {
        for request in
            ["GET / HTTP/1.1\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n", "", "\0\r\n\r\n"]
        {
            let answered = ask(request).await;
            assert!(answered.starts_with("HTTP/1.1 404 "), "{request:?}: {answered}");
        }
    }

    #[tokio::test]
    async fn a_request_over_the_limit_is_refused() {
        let request =
            format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MAX_REQUEST_BYTES));
        assert!(ask(&request).await.starts_with("HTTP/1.1 431 "));
    }

    #[tokio::test]
    async fn a_taken_address_ends_serving_without_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        serve_metrics(taken.local_addr().unwrap(), recorded()).await;
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_answered_in_their_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(answer_connections(listener, recorded()));
        let mut clients = Vec::new();
        for _ in 0..=MAX_CONNECTIONS {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        for mut client in clients {
            client.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
            let mut answered = String::new();
            client.read_to_string(&mut answered).await.unwrap();
            assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
        }
        server.abort();
    }

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
