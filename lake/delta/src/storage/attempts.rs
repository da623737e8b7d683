//! Every request to S3 as it is sent, retries included: what will be the same each time is not tried again, and what is
//! tried again is reported.
//!
//! The object store's library retries by itself, and logs nothing that an operator would see. So this is between it and its
//! HTTP client: each answer passes through [`Observed`], which turns a fault that no retry cures into an error that the
//! library does not retry ([`fault`](super::fault)), and keeps an [`Outage`] of what may pass.
//!
//! Until the store has answered once, connections that can't be made are tried again for a short time only: whoever starts
//! with a wrong address reads of it at once. Afterwards they are tried again for as long as the settings say.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lake_model::Outage;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use tokio::time::Instant;

use super::fault::{LastingFault, Refusal, chain, of_connection, of_response};

/// For how long a store that has never answered is tried again.
const FIRST_ANSWER: Duration = Duration::from_secs(8);

/// Makes HTTP clients whose requests are observed.
#[derive(Debug)]
pub(super) struct ObservedConnector;

impl HttpConnector for ObservedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Observed {
            client: ReqwestConnector::default().connect(options)?,
            has_answered: AtomicBool::new(false),
            failing: Mutex::default(),
        }))
    }
}

#[derive(Debug)]
struct Observed {
    client: HttpClient,
    has_answered: AtomicBool,
    failing: Mutex<Failing>,
}

#[derive(Debug, Default)]
struct Failing {
    outage: Outage,
    /// The first failure, while the store has never answered.
    since: Option<Instant>,
}

#[async_trait]
impl HttpService for Observed {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_conditional = request.headers().contains_key("if-none-match");
        let uri = request.uri();
        let endpoint = format!(
            "{}://{}",
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", |found| found.as_str())
        );
        match self.client.execute(request).await {
            Ok(response) => {
                self.has_answered.store(true, Ordering::Relaxed);
                self.judge(response, is_conditional, &endpoint).await
            }
            Err(error) => Err(self.judge_connection(error, &endpoint)),
        }
    }
}

impl Observed {
    async fn judge(
        &self,
        response: HttpResponse,
        is_conditional: bool,
        endpoint: &str,
    ) -> Result<HttpResponse, HttpError> {
        let status = response.status();
        if status.is_success() {
            self.succeeded(endpoint);
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.bytes().await?;
        let region = parts.headers.get("x-amz-bucket-region");
        let refusal = Refusal {
            status: status.as_u16(),
            is_conditional,
            region: region.and_then(|region| region.to_str().ok()),
            body: &String::from_utf8_lossy(&body),
        };
        if let Some(fault) = of_response(&refusal) {
            return Err(unretried(fault));
        }
        // What the library tries again; any other answer is one that its caller judges.
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            self.failed(endpoint, &format!("it answers {status}"));
        } else {
            self.succeeded(endpoint);
        }
        Ok(HttpResponse::from_parts(parts, body.into()))
    }

    fn judge_connection(&self, error: HttpError, endpoint: &str) -> HttpError {
        let has_answered = self.has_answered.load(Ordering::Relaxed);
        if let Some(fault) = of_connection(&error).filter(|_| !has_answered) {
            return unretried(fault);
        }
        self.failed(endpoint, &error_text(&error));
        let mut failing = self.failing();
        let now = Instant::now();
        let since = *failing.since.get_or_insert(now);
        if has_answered || now.duration_since(since) < FIRST_ANSWER {
            return error;
        }
        failing.since = None;
        unretried(LastingFault::silent(&error_text(&error)))
    }

    fn failed(&self, endpoint: &str, problem: &str) {
        let Some(report) = self.failing().outage.failed(Instant::now().into_std()) else { return };
        tracing::warn!(
            endpoint,
            problem,
            failing_for = ?report.lasting,
            failures = report.failures,
            "a request to the object store failed; trying again (lake.storage.endpoint, lake.retry_timeout)"
        );
    }

    fn succeeded(&self, endpoint: &str) {
        let mut failing = self.failing();
        failing.since = None;
        if let Some(report) = failing.outage.succeeded(Instant::now().into_std()) {
            tracing::info!(
                endpoint,
                failed_for = ?report.lasting,
                failures = report.failures,
                "the object store answers again"
            );
        }
    }

    fn failing(&self) -> MutexGuard<'_, Failing> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error that the library hands on at once.
fn unretried(fault: LastingFault) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, fault)
}

/// What an error is at its root.
fn error_text(error: &HttpError) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}
