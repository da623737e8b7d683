//! The one fold: what a window keeps of its events. Speed layer and batch both use it, and since it is of
//! integers, neither the order of events nor the grouping of panes changes a figure.

use crate::histogram::SpeedHistogram;
use crate::speed::Speed;

/// Count, sum, minimum and maximum of speeds. Empty until the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    count: u64,
    sum: u64,
    min: Speed,
    max: Speed,
    over_limit: Option<u64>,
}

impl Default for Speed {
    fn default() -> Speed {
        Speed::from_thousandths(0)
    }
}

impl Summary {
    /// A summary read back from a table. `sum` is in thousandths of km/h.
    pub fn from_parts(
        count: u64,
        sum: u64,
        min: Speed,
        max: Speed,
        over_limit: Option<u64>,
    ) -> Summary {
        Summary { count, sum, min, max, over_limit }
    }

    /// Folds one event of a camera with that speed limit, if one is configured.
    #[inline]
    pub fn add(&mut self, speed: Speed, limit: Option<Speed>) {
        let over_limit = limit.map(|limit| u64::from(speed > limit));
        self.merge(&Summary::from_parts(
            1,
            u64::from(speed.thousandths()),
            speed,
            speed,
            over_limit,
        ));
    }

    /// Adds the events of `other`. Of cameras over the limit the count is known only if both sides know it.
    #[inline]
    pub fn merge(&mut self, other: &Summary) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.over_limit = self.over_limit.zip(other.over_limit).map(|(a, b)| a + b);
    }

    /// Events folded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of speeds in thousandths of km/h.
    pub fn sum_thousandths(&self) -> u64 {
        self.sum
    }

    /// The least speed; 0 when empty.
    pub fn min(&self) -> Speed {
        self.min
    }

    /// The greatest speed; 0 when empty.
    pub fn max(&self) -> Speed {
        self.max
    }

    /// Events faster than the camera's limit; `None` while none is configured.
    pub fn over_limit(&self) -> Option<u64> {
        self.over_limit
    }

    /// The average in km/h by one division, thousandths / (1000 × count). NaN when empty.
    #[expect(clippy::cast_precision_loss, reason = "sums below 2^53 thousandths are exact")]
    pub fn average_kmh(&self) -> f64 {
        self.sum as f64 / (1000 * self.count) as f64
    }
}

/// A summary with the histogram that provisional quantiles are read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pane {
    /// Count, sum, minimum and maximum.
    pub summary: Summary,
    /// Speeds by bins of half a km/h.
    pub histogram: SpeedHistogram,
}

impl Pane {
    /// Folds one event of a camera with that speed limit, if one is configured.
    #[inline]
    pub fn add(&mut self, speed: Speed, limit: Option<Speed>) {
        self.summary.add(speed, limit);
        self.histogram.add(speed);
    }

    /// Adds the events of `other`.
    pub fn merge(&mut self, other: &Pane) {
        self.summary.merge(&other.summary);
        self.histogram.merge(&other.histogram);
    }

    /// The memory that the pane occupies, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Pane>() + self.histogram.bytes()
    }

    /// These percentiles, ascending, by nearest rank, within 0.5 km/h and never beyond minimum or maximum.
    pub fn quantiles<const N: usize>(&self, percents: [u32; N]) -> [Speed; N] {
        let (min, max) = (self.summary.min(), self.summary.max());
        let found = self.histogram.quantiles(percents).unwrap_or([min; N]);
        found.map(|speed| speed.clamp(min, max.max(min)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Event = (u32, Option<u32>);

    fn pane(events: &[Event]) -> Pane {
        let mut pane = Pane::default();
        for (speed, limit) in events {
            pane.add(Speed::from_thousandths(*speed), limit.map(Speed::from_thousandths));
        }
        pane
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        prop::collection::vec((0_u32..=400_000, prop::option::of(0_u32..=150_000)), 0..40)
    }

    fn merged(panes: &[Pane]) -> Pane {
        let mut all = Pane::default();
        panes.iter().for_each(|pane| all.merge(pane));
        all
    }

    #[test]
    fn an_average_is_one_division_and_limits_are_exceeded_strictly() {
        let limit = Some(85_200);
        let pane = pane(&[(85_200, limit), (85_201, limit), (60_000, limit), (90_000, limit)]);
        assert_eq!(pane.summary.average_kmh(), 320_401.0 / 4000.0);
        assert_eq!(pane.summary.over_limit(), Some(2));
    }

    #[test]
    fn a_summary_says_what_was_folded_and_nothing_of_nothing() {
        let summary = pane(&[(85_200, None), (60_000, None)]).summary;
        assert_eq!((summary.count(), summary.sum_thousandths()), (2, 145_200));
        let (min, max) = (Speed::from_thousandths(60_000), Speed::from_thousandths(85_200));
        assert_eq!((summary.min(), summary.max(), summary.over_limit()), (min, max, None));
        assert!(pane(&[]).summary.average_kmh().is_nan());
    }

    #[test]
    fn quantiles_are_never_beyond_minimum_or_maximum() {
        let speed = Speed::from_thousandths(85_399);
        assert_eq!(pane(&[(85_399, None)]).quantiles([1, 50, 99]), [speed; 3]);
        assert_eq!(pane(&[]).quantiles([50]), [Speed::from_thousandths(0)]);
    }

    #[test]
    fn a_pane_takes_the_memory_of_its_histogram_beside_its_own() {
        assert_eq!(pane(&[]).bytes(), size_of::<Pane>());
        let pane = pane(&[(85_200, None)]);
        assert_eq!(pane.bytes(), size_of::<Pane>() + pane.histogram.bytes());
    }

    proptest! {
        #[test]
        fn merge_is_associative_and_commutative(a in events(), b in events(), c in events()) {
            let (a, b, c) = (pane(&a), pane(&b), pane(&c));
            prop_assert_eq!(merged(&[a.clone(), b.clone()]), merged(&[b.clone(), a.clone()]));
            let left = merged(&[merged(&[a.clone(), b.clone()]), c.clone()]);
            prop_assert_eq!(left, merged(&[a, merged(&[b, c])]));
        }

        #[test]
        fn the_order_of_events_does_not_matter(
            (events, shuffled) in events().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        ) {
            prop_assert_eq!(pane(&events), pane(&shuffled));
        }

        #[test]
        fn folding_in_parts_equals_folding_at_once(events in events(), cut in 0_usize..40) {
            let cut = cut.min(events.len());
            let parts = merged(&[pane(&events[..cut]), pane(&events[cut..])]);
            prop_assert_eq!(parts, pane(&events));
        }
    }
}
