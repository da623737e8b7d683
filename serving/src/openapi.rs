//! The description of the HTTP interface in OpenAPI 3.1.

use std::sync::LazyLock;

use utoipa::{OpenApi, ToSchema};

use crate::answer::{AvgSpeed, Camera, Cameras, Health, RowStatus, Window};
use crate::handlers;
use crate::problem::Problem;

/// The lengths of windows as requests name them.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "its variants are only described; requests are read by WindowSize::parse"
)]
pub(crate) enum Interval {
    /// Five minutes.
    #[schema(rename = "5m")]
    FiveMinutes,
    /// One hour.
    #[schema(rename = "1h")]
    OneHour,
    /// The calendar day in the pipeline's time zone.
    #[schema(rename = "24h")]
    Day,
}

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
        handlers::openapi
    ),
    components(schemas(AvgSpeed, Window, RowStatus, Interval, Cameras, Camera, Health, Problem)),
    tags(
        (name = "averages", description = "What cameras have seen"),
        (name = "operations", description = "How the program is"),
    )
)]
struct Description;

/// The description as JSON.
pub(crate) fn json() -> &'static str {
    static JSON: LazyLock<String> =
        LazyLock::new(|| Description::openapi().to_json().expect("the description is JSON"));
    &JSON
}
