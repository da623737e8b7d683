//! Kafka offsets: half-open ranges of them, and sets of ranges that show what is covered and what is missing.

/// Offsets from `first` up to, not including, `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetRange {
    /// The first offset of the range.
    pub first: i64,
    /// The first offset after the range.
    pub next: i64,
}

impl OffsetRange {
    /// The range `[first, next)`.
    pub const fn new(first: i64, next: i64) -> OffsetRange {
        OffsetRange { first, next }
    }

    /// Offsets in the range.
    pub fn len(&self) -> i64 {
        (self.next - self.first).max(0)
    }

    /// Whether the range holds no offset.
    pub fn is_empty(&self) -> bool {
        self.next <= self.first
    }
}

/// A set of offsets as ranges: sorted, without overlaps or neighbours that touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetRanges(Vec<OffsetRange>);

impl OffsetRanges {
    /// Adds the offsets of `range`; returns how many of them were there already.
    pub fn insert(&mut self, range: OffsetRange) -> i64 {
        if range.is_empty() {
            return 0;
        }
        let from = self.0.partition_point(|r| r.next < range.first);
        let to = self.0.partition_point(|r| r.first <= range.next);
        let touched = &self.0[from..to];
        let overlap = touched.iter().map(|r| intersect(*r, range).len()).sum();
        let merged = touched
            .iter()
            .fold(range, |sum, r| OffsetRange::new(sum.first.min(r.first), sum.next.max(r.next)));
        self.0.splice(from..to, [merged]);
        overlap
    }

    /// Whether `offset` is in the set.
    pub fn contains(&self, offset: i64) -> bool {
        let at = self.0.partition_point(|r| r.next <= offset);
        self.0.get(at).is_some_and(|r| r.first <= offset)
    }

    /// The parts of `range` that are not in the set, in order.
    pub fn missing_from(&self, range: OffsetRange) -> Vec<OffsetRange> {
        let (mut missing, mut first) = (Vec::new(), range.first);
        for covered in self.0.iter().map(|r| intersect(*r, range)).filter(|r| !r.is_empty()) {
            missing.push(OffsetRange::new(first, covered.first));
            first = covered.next;
        }
        missing.push(OffsetRange::new(first, range.next));
        missing.retain(|r| !r.is_empty());
        missing
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[OffsetRange] {
        &self.0
    }

    /// Whether no offset is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn intersect(a: OffsetRange, b: OffsetRange) -> OffsetRange {
    OffsetRange::new(a.first.max(b.first), a.next.min(b.next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn inserts() -> impl Strategy<Value = Vec<OffsetRange>> {
        let range = (0_i64..60, 0_i64..12).prop_map(|(at, len)| OffsetRange::new(at, at + len));
        prop::collection::vec(range, 0..20)
    }

    proptest! {
        #[test]
        fn ranges_behave_as_a_set_of_offsets(inserts in inserts()) {
            let (mut ranges, mut plain) = (OffsetRanges::default(), BTreeSet::new());
            for range in inserts {
                let before = (range.first..range.next).filter(|o| plain.contains(o)).count();
                prop_assert_eq!(ranges.insert(range), before as i64);
                plain.extend(range.first..range.next);
            }
            for offset in -1..80 {
                prop_assert_eq!(ranges.contains(offset), plain.contains(&offset));
            }
            let missing: Vec<i64> = ranges
                .missing_from(OffsetRange::new(5, 70))
                .iter()
                .flat_map(|r| r.first..r.next)
                .collect();
            let expected: Vec<i64> = (5..70).filter(|o| !plain.contains(o)).collect();
            prop_assert_eq!(missing, expected);
            prop_assert_eq!(ranges.is_empty(), plain.is_empty());
            prop_assert!(ranges.ranges().iter().all(|r| r.first < r.next));
            let held: i64 = ranges.ranges().iter().map(OffsetRange::len).sum();
            prop_assert_eq!(held, plain.len() as i64);
            prop_assert!(ranges.ranges().windows(2).all(|w| w[0].next < w[1].first));
        }
    }
}
