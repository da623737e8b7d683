//! Errors as clients see them: problem details for HTTP (RFC 9457), as `application/problem+json`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of problem details.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The kinds of problem; each has a type, a title and a status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidParameter,
    InvalidCameraId,
    UnknownCamera,
    UnknownPath,
    MethodNotAllowed,
    NotReady,
    Overloaded,
    TimedOut,
    StoreUnavailable,
    DamagedTable,
}

impl Kind {
    const fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Kind::InvalidParameter => {
                ("invalid-parameter", "Invalid parameter", StatusCode::BAD_REQUEST)
            }
            Kind::InvalidCameraId => {
                ("invalid-camera-id", "Invalid camera id", StatusCode::BAD_REQUEST)
            }
            Kind::UnknownCamera => ("unknown-camera", "Unknown camera", StatusCode::NOT_FOUND),
            Kind::UnknownPath => ("unknown-path", "Unknown path", StatusCode::NOT_FOUND),
            Kind::MethodNotAllowed => {
                ("method-not-allowed", "Method not allowed", StatusCode::METHOD_NOT_ALLOWED)
            }
            Kind::NotReady => ("not-ready", "Not ready", StatusCode::SERVICE_UNAVAILABLE),
            Kind::Overloaded => {
                ("overloaded", "Too many requests at a time", StatusCode::SERVICE_UNAVAILABLE)
            }
            Kind::TimedOut => ("timed-out", "Timed out", StatusCode::GATEWAY_TIMEOUT),
            Kind::StoreUnavailable => {
                ("store-unavailable", "Store unavailable", StatusCode::SERVICE_UNAVAILABLE)
            }
            Kind::DamagedTable => {
                ("damaged-table", "Damaged table", StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// What went wrong with a request, and what was expected (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:lambdalake:problem:invalid-parameter",
    "title": "Invalid parameter",
    "status": 400,
    "detail": "interval = \"10m\": expected 5m, 1h or 24h",
    "parameter": "interval",
}))]
pub(crate) struct Problem {
    /// Names the kind of problem.
    #[schema(example = "urn:lambdalake:problem:invalid-parameter")]
    r#type: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request, and what was expected.
    detail: String,
    /// The path of the request, where no single parameter is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
}

impl Problem {
    /// A problem with the request for `path`.
    pub(crate) fn at(path: &str, kind: Kind, detail: impl Into<String>) -> Problem {
        Problem { instance: Some(path.to_owned()), ..Problem::new(kind, detail.into()) }
    }

    /// A problem with the parameter `name`.
    pub(crate) fn with_parameter(name: &str, detail: impl Into<String>) -> Problem {
        let parameter = Some(name.to_owned());
        Problem { parameter, ..Problem::new(Kind::InvalidParameter, detail.into()) }
    }

    fn new(kind: Kind, detail: String) -> Problem {
        let (name, title, status) = kind.parts();
        Problem {
            r#type: format!("urn:lambdalake:problem:{name}"),
            title,
            status: status.as_u16(),
            detail,
            instance: None,
            parameter: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("every kind has a status");
        let body = serde_json::to_vec(&self).expect("strings and a number are JSON");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
