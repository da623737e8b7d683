//! What changed from the rows that a day had to its new ones.
//!
//! Both sides are compared in ranges of cameras, so that memory stays bounded by the windows of a range.

use std::sync::Arc;

use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError};
use lake_model::Speed;

use super::compute::ComputedDay;
use crate::cameras;
use crate::final_figures::NewWindow;
use crate::window_totals::{self, MAX_WINDOWS, Totals, WindowKey};

/// The change of a day's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Drift {
    /// Windows whose count or sum changed, or that only one side has.
    pub(super) windows: u64,
    /// The greatest change of an average among windows on both sides, in km/h to the thousandth.
    pub(super) max_kmh: f64,
}

/// The drift from the rows in `replaced` to the computed ones. Files of `replaced` that can't be used are as if they held
/// nothing: what they held is what the computed rows are for, and is not worth leaving the day for.
pub(super) async fn drift(
    lake: &Lake,
    computed: &ComputedDay,
    replaced: &[FileEntry],
) -> Result<Drift, LakeError> {
    let mut readable = replaced.to_vec();
    loop {
        let error = match drift_from(lake, computed, &readable).await {
            Ok(drift) => return Ok(drift),
            Err(error) => error,
        };
        let at_fault = |path| readable.iter().position(|file| file.path == path);
        let Some(at) = error.data_file_at_fault().and_then(at_fault) else { return Err(error) };
        let day = computed.span.day;
        tracing::warn!(%day, %error, "the drift counts windows as new whose old rows can't be read");
        readable.remove(at);
    }
}

async fn drift_from(
    lake: &Lake,
    computed: &ComputedDay,
    replaced: &[FileEntry],
) -> Result<Drift, LakeError> {
    let mut of_camera = vec![0_u64; computed.cameras.len()];
    for window in &computed.windows {
        of_camera[window.camera as usize] += 1;
    }
    let mut drift = Drift::default();
    let mut rest = computed.windows.as_slice();
    for range in cameras::ranges(&computed.cameras, |place| of_camera[place], MAX_WINDOWS) {
        let end = rest.partition_point(|window| (window.camera as usize) < range.places.end);
        let (new, after) = rest.split_at(end);
        rest = after;
        let mut old = window_totals::read(lake, replaced, &range.span).await?;
        for window in new {
            drift.compare(window.totals, old.remove(&key(computed, window)));
        }
        drift.windows += old.len() as u64;
    }
    Ok(drift)
}

impl Drift {
    fn compare(&mut self, new: Totals, old: Option<Totals>) {
        if old != Some(new) {
            self.windows += 1;
        }
        if let Some(old) = old {
            let change = Speed::rounded((new.average_kmh() - old.average_kmh()).abs());
            self.max_kmh = self.max_kmh.max(change.kmh());
        }
    }
}

fn key(computed: &ComputedDay, window: &NewWindow) -> WindowKey {
    WindowKey {
        camera: Arc::clone(&computed.cameras[window.camera as usize]),
        size: window.size,
        start: computed.span.window(window.size, window.index).start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_sum_counts_and_the_greatest_change_of_an_average_is_kept() {
        let mut drift = Drift::default();
        let old = Totals { count: 2, sum: 100_000 };
        drift.compare(old, Some(old));
        assert_eq!(drift, Drift::default());
        drift.compare(Totals { count: 2, sum: 104_000 }, Some(old));
        drift.compare(Totals { count: 4, sum: 202_000 }, Some(old));
        assert_eq!(drift, Drift { windows: 2, max_kmh: 2.0 });
        drift.compare(old, None);
        assert_eq!(drift, Drift { windows: 3, max_kmh: 2.0 });
    }

    #[test]
    fn the_greatest_change_is_whole_thousandths() {
        let mut drift = Drift::default();
        drift.compare(Totals { count: 1, sum: 83_800 }, Some(Totals { count: 1, sum: 60_100 }));
        assert_eq!(drift.max_kmh.to_string(), "23.7", "83.8 - 60.1 is 23.699999999999996");
        drift.compare(Totals { count: 3, sum: 200_000 }, Some(Totals { count: 1, sum: 0 }));
        assert_eq!(drift.max_kmh.to_string(), "66.667");
    }
}
