//! The figures of windows, from the speeds in them.

use std::collections::BTreeMap;

use super::rows::AverageRow;
use super::zone::Window;
use crate::truth::TrueSettings;

/// A camera's window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) camera: String,
    pub(super) window: Window,
}

/// The speeds of windows, in thousandths of km/h.
pub(super) type Speeds = BTreeMap<Key, Vec<i64>>;

/// Adds a speed to the windows of an event.
pub(super) fn count(speeds: &mut Speeds, camera: &str, windows: &[Window; 3], thousandths: i64) {
    for window in windows {
        let key = Key { camera: camera.to_owned(), window: *window };
        speeds.entry(key).or_default().push(thousandths);
    }
}

impl Key {
    /// The window of a row, if there can be such a window.
    pub(super) fn of(row: &AverageRow) -> Option<Key> {
        let size = ["5m", "1h", "24h"].into_iter().find(|size| *size == row.size)?;
        let window = Window { size, start_us: row.start_us, end_us: row.end_us };
        Some(Key { camera: row.camera.clone(), window })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = super::zone::shown(self.window.start_us);
        write!(f, "camera {:?}, {} from {start}", self.camera, self.window.size)
    }
}

/// How a row's figures differ from those of the speeds: what is expected and what was found. Percentiles may be off
/// by so many thousandths.
#[expect(clippy::cast_precision_loss, reason = "sums of a simulated day are far below 2^53")]
pub(super) fn difference(
    row: &AverageRow,
    speeds: &[i64],
    settings: &TrueSettings,
    tolerance: i64,
) -> Option<(String, String)> {
    let mut sorted = speeds.to_vec();
    sorted.sort_unstable();
    let (count, sum) = (sorted.len(), sorted.iter().sum::<i64>());
    let over = limit_of(&row.camera, settings)
        .map(|limit| sorted.iter().filter(|speed| **speed > limit).count());
    let average = sum as f64 / (1000 * count.max(1)) as f64;
    let kmh = |thousandths: Option<&i64>| thousandths.map_or(0.0, |value| *value as f64 / 1000.0);
    let bounds = [kmh(sorted.first()), kmh(sorted.last())];
    let percentiles = [50, 85, 95].map(|percent| kmh(sorted.get(rank(count, percent))));
    let is_near = |found: f64, exact: f64| {
        found == exact || ((found - exact).abs() * 1000.0).round() <= tolerance as f64
    };
    let mut near = row.percentiles_kmh.iter().zip(&percentiles);
    let is_equal = usize::try_from(row.count) == Ok(count)
        && row.sum == i128::from(sum)
        && row.average_kmh.to_bits() == average.to_bits()
        && row.bounds_kmh == bounds
        && row.over_limit.map(usize::try_from) == over.map(Ok)
        && near.all(|(found, exact)| is_near(*found, *exact));
    let shown = |c: String, s: String, a: f64, b: [f64; 2], p: [f64; 3], o: String| {
        format!("count {c}, sum {s}, average {a}, bounds {b:?}, percentiles {p:?}, over limit {o}")
    };
    (!is_equal).then(|| {
        let over = format!("{over:?}");
        let expected =
            shown(count.to_string(), sum.to_string(), average, bounds, percentiles, over);
        let (c, s) = (row.count.to_string(), row.sum.to_string());
        let over = format!("{:?}", row.over_limit);
        let found = shown(c, s, row.average_kmh, row.bounds_kmh, row.percentiles_kmh, over);
        (expected, found)
    })
}

/// The place of a percentile among ordered values by nearest rank.
fn rank(count: usize, percent: usize) -> usize {
    (count * percent).div_ceil(100).max(1) - 1
}

fn limit_of(camera: &str, settings: &TrueSettings) -> Option<i64> {
    let own = settings.camera_limits_kmh.get(camera).copied();
    own.or(settings.default_limit_kmh).map(super::expected::thousandths)
}
