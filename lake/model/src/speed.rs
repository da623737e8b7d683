//! Speeds as whole thousandths of km/h, so that sums do not depend on the order of events.

use std::collections::HashMap;

/// A speed in whole thousandths of km/h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Speed(u32);

/// The greatest value that the limit on speeds can be set to, in km/h.
pub const GREATEST_SPEED_LIMIT_KMH: f64 = 10_000.0;

impl Speed {
    /// The speed of `kmh` km/h as sent: `round(kmh * 1000)`, the product in IEEE double, half away from
    /// zero. `None` unless `kmh` is finite and from 0 to `max_kmh` inclusive.
    ///
    /// `max_kmh` is at most [`GREATEST_SPEED_LIMIT_KMH`].
    #[inline]
    pub fn from_kmh(kmh: f64, max_kmh: f64) -> Option<Speed> {
        (0.0..=max_kmh).contains(&kmh).then(|| Speed::rounded(kmh))
    }

    /// The speed of a value that was accepted before, such as one read back from a table.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "accepted speeds are within 0 and 10,000 km/h; `as` saturates beyond"
    )]
    pub fn rounded(kmh: f64) -> Speed {
        let thousandths = kmh * 1000.0;
        let whole = thousandths as u32;
        let rounds_up = thousandths - f64::from(whole) >= 0.5;
        Speed(whole.saturating_add(u32::from(rounds_up)))
    }

    /// The speed of that many thousandths of km/h.
    pub const fn from_thousandths(thousandths: u32) -> Speed {
        Speed(thousandths)
    }

    /// Thousandths of km/h.
    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// The speed in km/h: one division of two exact doubles.
    pub fn kmh(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// Speed limits of cameras.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeedLimits {
    default: Option<Speed>,
    cameras: HashMap<String, Speed>,
}

impl SpeedLimits {
    /// The limits of `cameras`, by id, and of those that have none of their own; all in km/h, as settings have them.
    pub fn from_kmh<'a>(
        default: Option<f64>,
        cameras: impl IntoIterator<Item = (&'a String, &'a f64)>,
    ) -> SpeedLimits {
        let cameras = cameras.into_iter().map(|(id, kmh)| (id.clone(), Speed::rounded(*kmh)));
        SpeedLimits { default: default.map(Speed::rounded), cameras: cameras.collect() }
    }

    /// The camera's limit: its own, or else the default, if one is configured.
    pub fn of(&self, camera_id: &str) -> Option<Speed> {
        self.cameras.get(camera_id).copied().or(self.default)
    }
}

/// The rank, from 1, of the `percent`-th percentile of `count` ordered values by the nearest-rank
/// method: `ceil(percent / 100 * count)`, at least 1.
pub fn nearest_rank(count: u64, percent: u32) -> u64 {
    let rank = (u128::from(count) * u128::from(percent)).div_ceil(100);
    u64::try_from(rank).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_inclusive_and_checked_as_sent() {
        assert_eq!(Speed::from_kmh(400.0, 400.0), Some(Speed(400_000)));
        assert_eq!(Speed::from_kmh(0.0, 400.0), Some(Speed(0)));
        assert_eq!(Speed::from_kmh(-0.0, 400.0), Some(Speed(0)));
        for bad in [400.000_000_1, -0.000_1, f64::NAN, f64::INFINITY] {
            assert_eq!(Speed::from_kmh(bad, 400.0), None, "{bad}");
        }
    }

    #[test]
    fn halves_round_away_from_zero_and_the_product_is_a_double() {
        assert_eq!(Speed::rounded(0.0005).thousandths(), 1);
        assert_eq!(Speed::rounded(85.2).thousandths(), 85_200);
        // 4.0005 * 1000 is 4000.4999999999995 as a double.
        assert_eq!(Speed::rounded(4.0005).thousandths(), 4000);
    }

    #[test]
    fn a_limit_of_its_own_goes_before_the_default() {
        let cameras = [("KV1".to_owned(), 60.0), ("KV2".to_owned(), 50.5)];
        let cameras = || cameras.iter().map(|(id, kmh)| (id, kmh));
        let limits = SpeedLimits::from_kmh(Some(90.0), cameras());
        let of = |id| limits.of(id).map(Speed::thousandths);
        assert_eq!([of("KV1"), of("KV2"), of("kv1")], [Some(60_000), Some(50_500), Some(90_000)]);
        assert_eq!(SpeedLimits::from_kmh(None, cameras()).of("KV3"), None);
    }

    #[test]
    fn nearest_rank_is_the_ceiling() {
        assert_eq!(nearest_rank(1, 50), 1);
        assert_eq!(nearest_rank(2, 50), 1);
        assert_eq!(nearest_rank(3, 50), 2);
        assert_eq!(nearest_rank(20, 95), 19);
        assert_eq!(nearest_rank(21, 95), 20);
    }

    proptest! {
        #[test]
        fn rounding_is_that_of_the_standard_library(kmh in 0.0..20_000.0_f64, thousandths in 0_u32..20_000_000) {
            let half = (f64::from(thousandths) + 0.5) / 1000.0;
            for kmh in [kmh, half, half.next_down(), half.next_up()] {
                prop_assert_eq!(f64::from(Speed::rounded(kmh).thousandths()), (kmh * 1000.0).round());
            }
        }

        #[test]
        fn thousandths_survive_a_round_trip_through_kmh(t in 0_u32..=10_000_000) {
            prop_assert_eq!(Speed::rounded(Speed(t).kmh()), Speed(t));
        }
    }
}
