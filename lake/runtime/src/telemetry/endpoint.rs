//! The endpoint that metrics are served at.
//!
//! It answers one path and is spoken here over plain TCP, so that programs without an HTTP server need none for it. It is
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

/// Largest head of a request, in bytes.
const MAX_REQUEST_BYTES: usize = 8 * 1024;
/// Longest time that a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at a time; more of them wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// Wait after a failure to accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
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
    use crate::telemetry::test_support::recorded;
    use tokio::net::TcpStream;

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
}
