//! How traffic ebbs and flows over a day: two rush hours on working days, one gentle swell at weekends,
//! quiet nights.
//!
//! A day is measured as a fraction of its length, so that a day of 23 or 25 hours has the same shape.

use lake_model::Day;

/// Traffic at the start of each hour of a working day, relative to the working day's noon.
const WORKING_DAY: [f64; 24] = [
    0.15, 0.10, 0.08, 0.08, 0.12, 0.30, 0.75, 1.35, 1.60, 1.20, 1.00, 0.98, 1.00, 1.02, 1.05, 1.20,
    1.50, 1.75, 1.60, 1.20, 0.85, 0.62, 0.42, 0.26,
];
/// Traffic at the start of each hour of a Saturday or Sunday, on the same scale.
const WEEKEND: [f64; 24] = [
    0.28, 0.20, 0.15, 0.12, 0.12, 0.18, 0.28, 0.42, 0.62, 0.85, 1.02, 1.12, 1.15, 1.15, 1.12, 1.10,
    1.08, 1.05, 1.00, 0.90, 0.75, 0.60, 0.48, 0.36,
];
/// Traffic beyond which cars slow each other down, and at which they are slowed the most.
const CONGESTION: std::ops::Range<f64> = 1.15..1.75;

/// The shape of one day's traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm(&'static [f64; 24]);

impl Rhythm {
    /// The shape of `day`: working days from Monday to Friday, the weekend otherwise.
    pub fn of(day: Day) -> Rhythm {
        // 1970-01-01 was a Thursday, the fourth day after Sunday.
        let weekday = (i64::from(day.days()) + 4).rem_euclid(7);
        Rhythm(if matches!(weekday, 0 | 6) { &WEEKEND } else { &WORKING_DAY })
    }

    /// Relative traffic at `fraction` of the day, from 0 to 1: straight lines between the hours.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 24")]
    pub fn traffic(self, fraction: f64) -> f64 {
        let hours = fraction.clamp(0.0, 1.0) * 24.0;
        let hour = hours as usize % 24;
        let (from, to) = (self.0[hour], self.0[(hour + 1) % 24]);
        from + (to - from) * hours.fract()
    }

    /// How much cars slow each other down at `fraction` of the day, from 0 (free road) to 1.
    pub fn congestion(self, fraction: f64) -> f64 {
        let beyond = self.traffic(fraction) - CONGESTION.start;
        (beyond / (CONGESTION.end - CONGESTION.start)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a date")
    }

    #[test]
    fn working_days_have_two_peaks_and_weekends_are_flatter() {
        let (friday, saturday) = (Rhythm::of(day("2025-04-04")), Rhythm::of(day("2025-04-05")));
        let at = |rhythm: Rhythm, hour: f64| rhythm.traffic(hour / 24.0);
        assert!(at(friday, 8.0) > at(friday, 11.0) && at(friday, 17.0) > at(friday, 11.0));
        assert!(at(friday, 3.0) < at(friday, 11.0) / 5.0);
        assert!(at(saturday, 8.0) < at(saturday, 12.0) && at(saturday, 12.0) < at(friday, 8.0));
        assert_eq!(Rhythm::of(day("2025-04-06")), saturday);
        assert_eq!(Rhythm::of(day("2025-04-07")), friday);
    }

    #[test]
    fn traffic_is_continuous_across_midnight_and_stays_within_the_day() {
        let rhythm = Rhythm::of(day("2025-04-04"));
        assert!((rhythm.traffic(1.0) - rhythm.traffic(0.0)).abs() < 1e-9);
        assert!(rhythm.traffic(2.0) > 0.0 && rhythm.traffic(-1.0) > 0.0);
    }

    #[test]
    fn roads_are_congested_in_rush_hours_only() {
        let rhythm = Rhythm::of(day("2025-04-04"));
        assert!(rhythm.congestion(17.0 / 24.0) > 0.9);
        assert!(rhythm.congestion(3.0 / 24.0) < 1e-9);
    }
}
