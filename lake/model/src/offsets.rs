//! Kafka's partitions and offsets, told apart from each other and from all other numbers; half-open ranges of offsets,
//! and sets of ranges that show what is covered and what is missing.
//!
//! Raw numbers remain where they are written or read: in columns, JSON, app transactions, metrics, logs, and librdkafka.

use std::fmt;

use serde::Serialize;

/// A partition of the topic, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct KafkaPartition(pub i32);

impl fmt::Display for KafkaPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As the plain number: logs hold lists of partitions.
impl fmt::Debug for KafkaPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An offset of a partition: the place of a record in its log, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Offset(pub i64);

impl Offset {
    /// Where every partition's log began.
    pub const ZERO: Offset = Offset(0);
    /// Beyond every record.
    pub const MAX: Offset = Offset(i64::MAX);

    /// The offset after this one.
    #[must_use]
    pub const fn next(self) -> Offset {
        Offset(self.0 + 1)
    }

    /// The offset so many after this one.
    #[must_use]
    pub const fn plus(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }

    /// How many offsets this one is after `earlier`; negative if it is before.
    pub const fn since(self, earlier: Offset) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Offsets from `first` up to, not including, `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetRange {
    /// The first offset of the range.
    pub first: Offset,
    /// The first offset after the range.
    pub next: Offset,
}

impl OffsetRange {
    /// The range `[first, next)`.
    pub const fn new(first: Offset, next: Offset) -> OffsetRange {
        OffsetRange { first, next }
    }

    /// The range of that offset alone.
    pub const fn single(offset: Offset) -> OffsetRange {
        OffsetRange::new(offset, offset.next())
    }

    /// Offsets in the range.
    pub fn len(&self) -> i64 {
        self.next.since(self.first).max(0)
    }

    /// Whether the range holds no offset.
    pub fn is_empty(&self) -> bool {
        self.next <= self.first
    }

    /// Whether `offset` is in the range.
    pub fn contains(&self, offset: Offset) -> bool {
        self.first <= offset && offset < self.next
    }

    /// The offsets of the range, in order.
    pub fn offsets(self) -> impl Iterator<Item = Offset> {
        (self.first.0..self.next.0).map(Offset)
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
    pub fn contains(&self, offset: Offset) -> bool {
        let at = self.0.partition_point(|r| r.next <= offset);
        self.0.get(at).is_some_and(|r| r.first <= offset)
    }

    /// The parts of `range` that are not in the set, in order.
    pub fn missing_from(&self, range: OffsetRange) -> Vec<OffsetRange> {
        let (mut missing, mut first) = (Vec::new(), range.first);
        let from = self.0.partition_point(|r| r.next <= range.first);
        for covered in self.0[from..].iter().take_while(|r| r.first < range.next) {
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
        let range = (0_i64..60, 0_i64..12)
            .prop_map(|(at, len)| OffsetRange::new(Offset(at), Offset(at).plus(len)));
        prop::collection::vec(range, 0..20)
    }

    #[test]
    fn distances_count_offsets_and_ranges_hold_what_lies_between() {
        assert_eq!((Offset::ZERO.next(), Offset(7).plus(3)), (Offset(1), Offset(10)));
        assert_eq!((Offset(7).since(Offset(3)), Offset(3).since(Offset(7))), (4, -4));
        assert_eq!(OffsetRange::single(Offset(7)), OffsetRange::new(Offset(7), Offset(8)));
        assert_eq!(OffsetRange::new(Offset(9), Offset(7)).offsets().count(), 0);
        let held = (0..9).map(|at| OffsetRange::new(Offset(3), Offset(5)).contains(Offset(at)));
        assert_eq!(held.filter(|held| *held).count(), 2);
    }

    #[test]
    fn numbers_are_shown_as_they_are_stored() {
        assert_eq!(format!("{:>3}|{}", KafkaPartition(3), Offset(-1)), "  3|-1");
        assert_eq!(format!("{:?}", [KafkaPartition(0), KafkaPartition(3)]), "[0, 3]");
    }

    proptest! {
        #[test]
        fn ranges_behave_as_a_set_of_offsets(inserts in inserts()) {
            let (mut ranges, mut plain) = (OffsetRanges::default(), BTreeSet::new());
            for range in inserts {
                let before = range.offsets().filter(|offset| plain.contains(offset)).count();
                prop_assert_eq!(ranges.insert(range), before as i64);
                plain.extend(range.offsets());
            }
            for offset in (-1..80).map(Offset) {
                prop_assert_eq!(ranges.contains(offset), plain.contains(&offset));
            }
            let asked = OffsetRange::new(Offset(5), Offset(70));
            let missing: Vec<Offset> =
                ranges.missing_from(asked).into_iter().flat_map(OffsetRange::offsets).collect();
            let expected: Vec<Offset> =
                asked.offsets().filter(|offset| !plain.contains(offset)).collect();
            prop_assert_eq!(missing, expected);
            prop_assert_eq!(ranges.is_empty(), plain.is_empty());
            prop_assert!(ranges.ranges().iter().all(|r| r.first < r.next));
            let held: i64 = ranges.ranges().iter().map(OffsetRange::len).sum();
            prop_assert_eq!(held, plain.len() as i64);
            prop_assert!(ranges.ranges().windows(2).all(|w| w[0].next < w[1].first));
        }
    }
}
