//! Responses as JSON.

use lake_model::{Speed, Timestamp};
use lake_tables::avg_speed::Status;
use serde::Serialize;
use utoipa::ToSchema;

use crate::query::AvgSpeedQuery;
use crate::store::MergedWindow;

/// The averages of one camera.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AvgSpeed {
    /// The camera.
    #[schema(example = "KV12345")]
    kvfv_id: String,
    /// The length of the windows.
    #[schema(example = "1h")]
    interval: &'static str,
    /// The start of the time requested, in UTC.
    #[schema(format = DateTime, example = "2025-04-05T00:00:00Z")]
    from: String,
    /// The end of the time requested, in UTC; not included.
    #[schema(format = DateTime, example = "2025-04-06T00:00:00Z")]
    to: String,
    /// The windows that start in `[from, to)`, ascending. Windows without events are left out.
    windows: Vec<Window>,
}

/// The figures of a camera in one window. Speeds are in km/h.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Window {
    /// The window's first instant.
    #[schema(format = DateTime, example = "2025-04-05T10:00:00Z")]
    window_start: String,
    /// The first instant after the window.
    #[schema(format = DateTime, example = "2025-04-05T11:00:00Z")]
    window_end: String,
    /// The sum of speeds divided by the count.
    #[schema(example = 76.80033333333333)]
    avg_speed: f64,
    /// Events in the window.
    #[schema(example = 3)]
    count: u64,
    /// The lowest speed.
    #[schema(example = 60.0)]
    min: f64,
    /// The highest speed.
    #[schema(example = 85.201)]
    max: f64,
    /// The median by nearest rank; exact in final windows, within 0.5 km/h in provisional ones.
    #[schema(example = 85.2)]
    p50: f64,
    /// The 85th percentile.
    #[schema(example = 85.201)]
    p85: f64,
    /// The 95th percentile.
    #[schema(example = 85.201)]
    p95: f64,
    /// Events faster than the camera's limit; null while none is configured.
    #[schema(required = true, example = 1)]
    over_limit: Option<u64>,
    /// Which layer computed it.
    status: RowStatus,
}

/// `provisional`: from the events that were not late, so far. `final`: from every distinct event of the day.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RowStatus {
    /// The speed layer.
    Provisional,
    /// The batch.
    Final,
}

/// Cameras in the order of their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cameras {
    /// The cameras.
    cameras: Vec<Camera>,
    /// The value of `after` in the request for the next cameras; null when there are none.
    #[schema(required = true, example = "KV12345")]
    next: Option<String>,
}

/// A camera with its latest 5-minute window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Camera {
    /// The camera.
    #[schema(example = "KV12345")]
    kvfv_id: String,
    /// Its latest 5-minute window; null until there is one.
    #[schema(required = true)]
    latest: Option<Window>,
}

/// The state of the program.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live` or `ready`.
    #[schema(example = "ready")]
    pub(crate) status: &'static str,
    /// The version of `avg_speed` that is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 42)]
    pub(crate) table_version: Option<i64>,
    /// When the table's log was last followed to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2025-04-05T10:15:30.250000Z")]
    pub(crate) refreshed_at: Option<String>,
    /// Why the log can't be followed at present; rows that were loaded before are served meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

impl AvgSpeed {
    pub(crate) fn new(query: &AvgSpeedQuery, windows: &[MergedWindow]) -> AvgSpeed {
        AvgSpeed {
            kvfv_id: query.camera.as_str().to_owned(),
            interval: query.size.as_str(),
            from: query.from.to_string(),
            to: query.to.to_string(),
            windows: windows.iter().map(Window::new).collect(),
        }
    }
}

impl Window {
    fn new(window: &MergedWindow) -> Window {
        let MergedWindow { window, summary, quantiles, status } = window;
        let text = |time: Timestamp| time.to_string();
        let kmh = |speed: Speed| speed.kmh();
        Window {
            window_start: text(window.start),
            window_end: text(window.end),
            avg_speed: summary.average_kmh(),
            count: summary.count(),
            min: kmh(summary.min()),
            max: kmh(summary.max()),
            p50: kmh(quantiles.p50),
            p85: kmh(quantiles.p85),
            p95: kmh(quantiles.p95),
            over_limit: summary.over_limit(),
            status: match status {
                Status::Provisional => RowStatus::Provisional,
                Status::Final => RowStatus::Final,
            },
        }
    }
}

impl Cameras {
    /// The first `limit` of `cameras`, which are one more if others follow.
    pub(crate) fn new(
        mut cameras: Vec<(std::sync::Arc<str>, Option<MergedWindow>)>,
        limit: usize,
    ) -> Cameras {
        let others_follow = cameras.len() > limit;
        cameras.truncate(limit);
        let last = cameras.last().map(|(camera, _)| camera.to_string());
        let camera = |(camera, latest): (std::sync::Arc<str>, Option<MergedWindow>)| Camera {
            kvfv_id: camera.to_string(),
            latest: latest.as_ref().map(Window::new),
        };
        Cameras {
            next: last.filter(|_| others_follow),
            cameras: cameras.into_iter().map(camera).collect(),
        }
    }
}
