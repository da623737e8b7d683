//! The final rows of a day, from its distinct events: the same whenever and however often they are computed.

use std::sync::Arc;

use lake_model::speed::nearest_rank;
use lake_model::{Speed, SpeedLimits, Summary, TableVersion, Timestamp, WindowSize};
use lake_tables::avg_speed::{AvgSpeedRow, Quantiles, Status};

use crate::day_events::{DayEvents, DistinctEvents};
use crate::window_totals::Totals;

/// A window of the new rows, as small as the drift needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewWindow {
    /// The place of the camera in the day's list.
    pub(crate) camera: u32,
    /// The place of the window among those of its size in the day.
    pub(crate) index: u32,
    pub(crate) size: WindowSize,
    pub(crate) totals: Totals,
}

/// The final rows of a range of cameras.
pub(crate) struct RangeRows {
    /// By size of window.
    pub(crate) rows: [Vec<AvgSpeedRow>; 3],
    pub(crate) windows: Vec<NewWindow>,
    pub(crate) duplicates: u64,
}

/// What all final rows of a run have in common.
pub(crate) struct FinalFigures {
    pub(crate) limits: SpeedLimits,
    pub(crate) events_version: TableVersion,
    pub(crate) computed_at: Timestamp,
}

impl FinalFigures {
    /// The final rows of distinct events.
    pub(crate) fn of(&self, day: &DayEvents, events: &DistinctEvents) -> RangeRows {
        let (mut rows, mut windows) = ([const { Vec::new() }; 3], Vec::new());
        let mut speeds = Vec::new();
        for window in events.windows(day.span()) {
            window.speeds_into(&mut speeds);
            let camera = &day.cameras()[window.camera];
            let (summary, quantiles) = figures(&mut speeds, self.limits.of(camera));
            windows.push(NewWindow {
                camera: u32::try_from(window.camera).expect("places of cameras are of 32 bits"),
                index: window.index,
                size: window.window.size,
                totals: Totals { count: window.count(), sum: summary.sum_thousandths() },
            });
            rows[window.window.size as usize].push(AvgSpeedRow {
                camera_id: Arc::clone(camera),
                window: window.window,
                kafka_partition: None,
                summary,
                quantiles,
                status: Status::Final,
                events_version: Some(self.events_version),
                computed_at: self.computed_at,
                histogram: None,
            });
        }
        RangeRows { rows, windows, duplicates: events.duplicates() }
    }
}

/// The figures of a window's speeds, which are put in another order: no more of it than the percentiles need.
fn figures(speeds: &mut [u32], limit: Option<Speed>) -> (Summary, Quantiles) {
    let mut summary = Summary::default();
    for speed in speeds.iter() {
        summary.add(Speed::from_thousandths(*speed), limit);
    }
    let (count, mut from) = (speeds.len() as u64, 0);
    // Percentiles ascend, so each is among the speeds that are not before the last one.
    let quantiles = Quantiles::by(|percent| {
        let at = usize::try_from(nearest_rank(count, percent) - 1);
        let at = at.expect("a rank is at most the number of speeds");
        let (_, speed, _) = speeds[from..].select_nth_unstable(at - from);
        from = at;
        Speed::from_thousandths(*speed)
    });
    (summary, quantiles)
}
