//! Passing requests on: each listener has one client's connections, all of them share the connections to the store.
//!
//! A request goes to the store as it came, its body while it arrives; so does the answer, once the time of its kind has
//! passed since the store answered. What is held at a time are the heads of requests and what the connections have in their
//! buffers. A client that goes away ends its request. If the store does not answer, the client gets 502 with the reason.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::http::uri::{Authority, Scheme};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::counts::{ClientCounts, Counted, add};
use crate::delays::Delays;
use crate::kind::Kind;

/// Connections of one client at a time; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 1024;
/// Longest wait for a connection to the store, and for the head of an answer.
const CONNECTING: Duration = Duration::from_secs(10);
const ANSWERING: Duration = Duration::from_secs(300);
/// How long a connection to the store is kept for the next request: less than stores keep it.
const IDLE: Duration = Duration::from_secs(10);
/// The wait after a connection could not be accepted, because the process has too many open files.
const ACCEPTING_AGAIN: Duration = Duration::from_millis(100);

/// The body of an answer: the store's, or a text of our own.
pub(crate) type AnswerBody = BoxBody<Bytes, hyper::Error>;

/// What stands before the store.
#[derive(Debug)]
pub struct Proxy {
    store: Authority,
    delays: Delays,
    connections: Client<HttpConnector, Counted>,
}

impl Proxy {
    /// A proxy before a store without TLS.
    pub fn new(store: Authority, delays: Delays) -> Proxy {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECTING));
        let connections = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_CONNECTIONS)
            .http1_preserve_header_case(true)
            .set_host(false)
            .build(connector);
        Proxy { store, delays, connections }
    }

    /// Serves a client, for ever.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, counts: Arc<ClientCounts>) {
        accept(listener, move |request| {
            let (proxy, counts) = (self.clone(), counts.clone());
            async move { proxy.answer(request, &counts).await }
        })
        .await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        counts: &ClientCounts,
    ) -> Response<AnswerBody> {
        let kind = Kind::of(request.method(), request.uri());
        let tally = counts.of(kind);
        add(&tally.requests, 1);
        let Some(address) = self.address(&request) else {
            let fault =
                format!("{} {}: expected the path of an object", request.method(), request.uri());
            return plain(StatusCode::BAD_REQUEST, &fault);
        };
        let (mut parts, body) = request.into_parts();
        parts.uri = address;
        let passed_on = Request::from_parts(parts, Counted::new(body, &tally.bytes_up));
        let fault = match timeout(ANSWERING, self.connections.request(passed_on)).await {
            Ok(Ok(answer)) => {
                sleep(self.delays.of(kind)).await;
                tally.answered(answer.status());
                return answer.map(|body| Counted::new(body, &tally.bytes_down).boxed());
            }
            Ok(Err(error)) => format!("{:#}", anyhow::Error::new(error)),
            Err(_) => format!("no answer within {ANSWERING:?}"),
        };
        add(&tally.unanswered, 1);
        tracing::warn!("the store {} did not answer a {kind}: {fault}", self.store);
        plain(StatusCode::BAD_GATEWAY, &format!("the store {} did not answer: {fault}", self.store))
    }

    /// Where a request goes: the same path at the store. None for a request that names none.
    fn address(&self, request: &Request<Incoming>) -> Option<Uri> {
        let path =
            request.uri().path_and_query().filter(|_| request.method() != Method::CONNECT)?;
        let address = Uri::builder().scheme(Scheme::HTTP).authority(self.store.clone());
        address.path_and_query(path.clone()).build().ok()
    }
}

/// Accepts connections and answers their requests, for ever.
pub(crate) async fn accept<A, F>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let permit = room.clone().acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, answer.clone(), permit))),
            Err(error) => {
                tracing::warn!("accept a connection: {error}");
                sleep(ACCEPTING_AGAIN).await;
            }
        }
    }
}

/// Answers the requests of one connection to its end.
async fn converse<A, F>(stream: TcpStream, answer: A, _permit: OwnedSemaphorePermit)
where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("send small packets at once: {error}");
    }
    let service = service_fn(|request| {
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let served = http1::Builder::new()
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a client's connection ended: {error}");
    }
}

/// An answer of our own.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response<AnswerBody> {
    let body = Full::new(Bytes::from(format!("{text}\n"))).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status;
    answer
}
