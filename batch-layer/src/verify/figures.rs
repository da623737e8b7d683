//! The figures of windows, and how two sets of them differ.

use std::fmt;

use lake_model::Timestamp;

/// A camera's window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) camera: String,
    pub(super) size: String,
    /// In microseconds since 1970.
    pub(super) start: i64,
}

/// The figures of a window. Doubles are compared by their bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// The end of the window, in microseconds since 1970.
    pub window_end: i64,
    /// Events.
    pub count: i64,
    /// The sum of speeds in thousandths of km/h.
    pub sum_thousandths: i128,
    /// The average in km/h.
    pub average_kmh: f64,
    /// Minimum, maximum, p50, p85 and p95 in km/h.
    pub speeds_kmh: [Option<f64>; 5],
    /// Events over the limit, where one is configured.
    pub over_limit: Option<i64>,
}

/// A window that differs, or that only one side has.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The camera.
    pub camera: String,
    /// The size of the window.
    pub window_size: String,
    /// The start of the window.
    pub window_start: Timestamp,
    /// What follows from the events.
    pub recomputed: Option<Figures>,
    /// What the table holds.
    pub published: Option<Figures>,
    /// What else is wrong with the row.
    pub fault: Option<String>,
}

impl Figures {
    /// Whether all figures are the same to the bit.
    pub(super) fn same_bits(&self, other: &Figures) -> bool {
        let bits = |speeds: &[Option<f64>; 5]| speeds.map(|speed| speed.map(f64::to_bits));
        (self.window_end, self.count, self.sum_thousandths, self.over_limit)
            == (other.window_end, other.count, other.sum_thousandths, other.over_limit)
            && self.average_kmh.to_bits() == other.average_kmh.to_bits()
            && bits(&self.speeds_kmh) == bits(&other.speeds_kmh)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { camera, window_size, window_start, .. } = self;
        write!(f, "camera {camera}, {window_size} window at {window_start}: ")?;
        match &self.recomputed {
            Some(figures) => write!(f, "events say {figures}")?,
            None => f.write_str("events say nothing (or the row is there twice)")?,
        }
        match &self.published {
            Some(figures) => write!(f, "; avg_speed says {figures}")?,
            None => f.write_str("; avg_speed has no row")?,
        }
        self.fault.iter().try_for_each(|fault| write!(f, "; {fault}"))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, max, p50, p85, p95] =
            self.speeds_kmh.map(|speed| speed.map_or("null".to_owned(), |kmh| kmh.to_string()));
        write!(
            f,
            "end {}, count {}, sum {} thousandths, average {}, min {min}, max {max}, p50 {p50}, p85 {p85}, \
             p95 {p95}, over limit {}",
            Timestamp::from_micros(self.window_end),
            self.count,
            self.sum_thousandths,
            self.average_kmh,
            self.over_limit.map_or("null".to_owned(), |count| count.to_string()),
        )
    }
}
