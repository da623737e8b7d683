//! The description of the HTTP interface in OpenAPI 3.1, and the handler that answers with it.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use crate::handlers;
use crate::problem::Problem;
use crate::query::Interval;
use crate::response::{AvgSpeed, Camera, Cameras, Health, RowStatus, Window};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "lambdalake serving",
        description = "Average speeds of cameras: provisional seconds after the cars pass, final once the nightly batch has \
                       recomputed the day."
    ),
    paths(
        handlers::avg_speed,
        handlers::cameras,
        handlers::live,
        handlers::ready,
        handlers::metrics,
        openapi
    ),
    components(schemas(AvgSpeed, Window, RowStatus, Interval, Cameras, Camera, Health, Problem)),
    tags(
        (name = "averages", description = "Figures of cameras"),
        (name = "operations", description = "State of the program"),
    )
)]
struct Description;

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "operations",
    summary = "This description",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json()).into_response()
}

/// The description as JSON.
fn json() -> &'static str {
    static JSON: LazyLock<String> =
        LazyLock::new(|| Description::openapi().to_json().expect("the description is JSON"));
    &JSON
}
