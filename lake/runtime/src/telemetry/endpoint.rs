//! The endpoint that metrics, and whether the program is ready, are served at.
//!
//! It answers three paths and is spoken here over plain TCP, so that programs without an HTTP server need none for it. It is
//! bounded in every way: size of a request, time for one, connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::process;
use crate::Readiness;

/// Largest head of a request, in bytes.
const MAX_REQUEST_BYTES: usize = 8 * 1024;
/// Longest time that a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at a time; more of them wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// Wait after a failure to accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the endpoint answers from.
#[derive(Clone)]
struct Answers {
    recorder: PrometheusHandle,
    readiness: Readiness,
}

/// Serves `/metrics`, `/health/live` and `/health/ready` at `http://<listen>` until the future is dropped. An address that
/// is unavailable is no reason to stop the work: it is logged, and the future ends.
pub async fn serve_metrics(listen: SocketAddr, recorder: PrometheusHandle, readiness: Readiness) {
    match TcpListener::bind(listen).await {
        Ok(listener) => {
            let address = listener.local_addr().unwrap_or(listen);
            info!(%address, "serving metrics at /metrics, and /health/ready");
            answer_connections(listener, Answers { recorder, readiness }).await;
        }
        Err(error) => warn!(
            %error,
            "metrics are not served: speed.metrics_listen = \"{listen}\" is unavailable; name a free \
             address, or \"\" for none"
        ),
    }
}

async fn answer_connections(listener: TcpListener, answers: Answers) {
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
        let answers = answers.clone();
        connections.spawn(async move {
            // A client that goes away or dawdles is its own concern.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, answer(stream, &answers)).await;
        });
    }
}

/// Answers one request, and closes the connection.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: &Answers,
) -> io::Result<()> {
    let (status, body) = match read_head(&mut stream).await? {
        None => ("431 Request Header Fields Too Large", "the request is too large\n".to_owned()),
        Some(head) => answers.to(&head).await,
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

impl Answers {
    /// The status and the body for a request with that head.
    async fn to(&self, head: &[u8]) -> (&'static str, String) {
        match path_of(head) {
            Some(b"/metrics") => {
                process::record().await;
                ("200 OK", self.recorder.render())
            }
            Some(b"/health/live") => ("200 OK", "live\n".to_owned()),
            Some(b"/health/ready") => match self.readiness.problem() {
                None => ("200 OK", "ready\n".to_owned()),
                Some(problem) => ("503 Service Unavailable", problem),
            },
            _ => (
                "404 Not Found",
                "only GET /metrics, /health/live and /health/ready are answered here\n".to_owned(),
            ),
        }
    }
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

/// The path that a GET request asks for.
fn path_of(head: &[u8]) -> Option<&[u8]> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let target = line.strip_prefix(b"GET ")?.split(|byte| *byte == b' ').next()?;
    target.split(|byte| *byte == b'?').next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::telemetry::test_support::recorded;
    use tokio::net::TcpStream;

    fn answers() -> Answers {
        Answers { recorder: recorded(), readiness: Readiness::default() }
    }

    async fn ask(request: &str) -> String {
        ask_of(&answers(), request).await
    }

    async fn ask_of(answers: &Answers, request: &str) -> String {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        answer(server, answers).await.unwrap();
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
            assert!(
                answered.contains("lakehouse_things_total{pipeline=\"cameras\"} 3"),
                "{answered}"
            );
            assert!(
                answered
                    .contains("lakehouse_commit_seconds_bucket{pipeline=\"cameras\",le=\"0.5\"} 1"),
                "{answered}"
            );
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_ready_says_why_and_is_live() {
        let (answers, live) = (answers(), "GET /health/live HTTP/1.1\r\n\r\n");
        let ready = "GET /health/ready HTTP/1.1\r\n\r\n";
        assert!(ask_of(&answers, ready).await.starts_with("HTTP/1.1 200 OK\r\n"));
        answers.readiness.set("start", Some("waiting for Kafka".to_owned()));
        let answered = ask_of(&answers, ready).await;
        assert!(answered.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answered}");
        assert!(answered.ends_with("\r\n\r\nstart: waiting for Kafka\n"), "{answered}");
        assert!(ask_of(&answers, live).await.starts_with("HTTP/1.1 200 OK\r\n"));
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
        serve_metrics(taken.local_addr().unwrap(), recorded(), Readiness::default()).await;
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_answered_in_their_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(answer_connections(listener, answers()));
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
}
