//! What each client has asked for: requests, bytes and answers by kind of request, as JSON.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use serde_json::{Value, json};

use crate::kind::Kind;

/// Classes of answers, by the first digit of the status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The counts of one client.
#[derive(Debug, Default)]
pub struct ClientCounts([Arc<Tally>; Kind::ALL.len()]);

/// What is counted of one kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests that arrived.
    pub(crate) requests: AtomicU64,
    /// Bytes of the bodies of requests and of answers, as far as they have passed.
    pub(crate) bytes_up: Arc<AtomicU64>,
    pub(crate) bytes_down: Arc<AtomicU64>,
    /// Answers of the store by class.
    answers: [AtomicU64; CLASSES.len()],
    /// Requests that the store did not answer.
    pub(crate) unanswered: AtomicU64,
}

impl ClientCounts {
    pub(crate) fn of(&self, kind: Kind) -> Arc<Tally> {
        self.0[kind as usize].clone()
    }

    /// The kinds that were asked for, by name.
    pub fn report(&self) -> Value {
        let asked =
            Kind::ALL.into_iter().zip(&self.0).filter(|(_, tally)| count(&tally.requests) > 0);
        asked.map(|(kind, tally)| (kind.name().to_owned(), tally.report())).collect()
    }
}

impl Tally {
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(answers) = self.answers.get(class) {
            add(answers, 1);
        }
    }

    fn report(&self) -> Value {
        let classes = CLASSES.iter().zip(&self.answers).filter(|(_, answers)| count(answers) > 0);
        let answers: Value = classes
            .map(|(class, answers)| ((*class).to_owned(), Value::from(count(answers))))
            .collect();
        json!({
            "requests": count(&self.requests),
            "bytes_up": count(&self.bytes_up),
            "bytes_down": count(&self.bytes_down),
            "answers": answers,
            "unanswered": count(&self.unanswered),
        })
    }
}

pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A body whose bytes are counted as they pass.
pub(crate) struct Counted {
    body: Incoming,
    bytes: Arc<AtomicU64>,
}

impl Counted {
    pub(crate) fn new(body: Incoming, bytes: &Arc<AtomicU64>) -> Counted {
        Counted { body, bytes: bytes.clone() }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            add(&self.bytes, data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_holds_what_was_asked_for_and_how_it_was_answered() {
        let counts = ClientCounts::default();
        assert_eq!(counts.report(), json!({}));
        let puts = counts.of(Kind::Put);
        add(&puts.requests, 3);
        add(&puts.bytes_up, 10);
        puts.answered(StatusCode::OK);
        puts.answered(StatusCode::PRECONDITION_FAILED);
        add(&puts.unanswered, 1);
        let expected = json!({ "PUT": {
            "requests": 3, "bytes_up": 10, "bytes_down": 0, "answers": { "2xx": 1, "4xx": 1 }, "unanswered": 1,
        }});
        assert_eq!(counts.report(), expected);
    }
}
