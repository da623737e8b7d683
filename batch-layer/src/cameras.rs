//! Cameras of a day in ranges, so that what is held of a day at a time is bounded.
//!
//! The ranges of a day cover every possible camera id: the first has no lower bound and the last no upper one.
//! So each row of any table is in exactly one of them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::StringArray;
use lake_delta::log::FileEntry;

/// Camera ids from one, inclusive, up to another, exclusive, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CameraSpan {
    from: Option<Arc<str>>,
    until: Option<Arc<str>>,
}

impl CameraSpan {
    /// Whether the id is in the span.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= id)
            && self.until.as_deref().is_none_or(|until| id < until)
    }

    /// Extends the span to the end of `next`, which begins where it ends.
    pub(crate) fn extend_to(&mut self, next: &CameraSpan) {
        self.until.clone_from(&next.until);
    }

    /// Whether the file may hold rows of the span, by its statistics.
    pub(crate) fn may_be_in(&self, file: &FileEntry) -> bool {
        let bounds = file.bounds("camera_id");
        let Some((least, greatest)) = &bounds else { return true };
        let (Some(least), Some(greatest)) = (least.as_str(), greatest.as_str()) else {
            return true;
        };
        self.from.as_deref().is_none_or(|from| from <= greatest)
            && self.until.as_deref().is_none_or(|until| least < until)
    }
}

/// The bounds that the log has of a file's cameras. Ranges of cameras pass over files by them.
#[derive(Debug)]
pub(crate) struct Bounds(Option<(String, String)>);

impl Bounds {
    /// Those of `file`, if the log has any.
    pub(crate) fn of(file: &FileEntry) -> Bounds {
        let text = |bound: &serde_json::Value| bound.as_str().map(str::to_owned);
        Bounds(file.bounds("camera_id").and_then(|(least, most)| text(&least).zip(text(&most))))
    }

    /// What is wrong if a row of the file has camera `id`.
    pub(crate) fn problem(&self, id: &str) -> Option<String> {
        let (least, greatest) = self.0.as_ref()?;
        (id < least.as_str() || greatest.as_str() < id).then(|| {
            format!(
                "a row has camera {id}, and the log says that they are from {least} to {greatest}"
            )
        })
    }
}

/// A camera of `ids` that lies outside of the bounds that the log has of the file's cameras.
pub(crate) fn outside_bounds(file: &FileEntry, ids: &StringArray) -> Option<String> {
    let bounds = Bounds::of(file);
    ids.iter().flatten().find_map(|id| bounds.problem(id))
}

/// Neighbours in a sorted list of cameras.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CameraRange {
    /// Their places in the list.
    pub(crate) places: Range<usize>,
    /// The ids that lie in the range, also of cameras that are not in the list.
    pub(crate) span: CameraSpan,
}

/// Groups the sorted `ids` into ranges that weigh at most `max_weight` each, a single camera that weighs
/// more excepted. There is at least one range.
pub(crate) fn ranges(
    ids: &[Arc<str>],
    weight: impl Fn(usize) -> u64,
    max_weight: u64,
) -> Vec<CameraRange> {
    ranges_between(ids, weight, max_weight, |_| false)
}

/// As [`ranges`], where a range begins at each place of which `begins` holds, too.
pub(crate) fn ranges_between(
    ids: &[Arc<str>],
    weight: impl Fn(usize) -> u64,
    max_weight: u64,
    begins: impl Fn(usize) -> bool,
) -> Vec<CameraRange> {
    let (mut starts, mut held) = (vec![0], 0_u64);
    for place in 0..ids.len() {
        let added = weight(place);
        if held > 0 && (held.saturating_add(added) > max_weight || begins(place)) {
            starts.push(place);
            held = 0;
        }
        held = held.saturating_add(added);
    }
    let ends = starts.iter().skip(1).copied().chain([ids.len()]);
    let range = |(start, end): (usize, usize)| CameraRange {
        places: start..end,
        span: CameraSpan {
            from: (start > 0).then(|| Arc::clone(&ids[start])),
            until: ids.get(end).map(Arc::clone),
        },
    };
    starts.iter().copied().zip(ends).map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_is_in_exactly_one_range_and_ranges_stay_within_the_weight(
            weights in prop::collection::vec(1_u64..50, 0..30),
            max in 1_u64..100,
            id in "[a-f0-9]{0,4}",
        ) {
            let ids: Vec<Arc<str>> = (0..weights.len()).map(|i| format!("c{i:03}").into()).collect();
            let ranges = ranges(&ids, |place| weights[place], max);
            prop_assert_eq!(ranges.iter().filter(|range| range.span.contains(&id)).count(), 1);
            let places: Vec<usize> = ranges.iter().flat_map(|range| range.places.clone()).collect();
            prop_assert_eq!(places, (0..ids.len()).collect::<Vec<_>>());
            for range in &ranges {
                let weight: u64 = weights[range.places.clone()].iter().sum();
                prop_assert!(weight <= max || range.places.len() == 1);
                prop_assert!(ids[range.places.clone()].iter().all(|id| range.span.contains(id)));
            }
        }
    }
}
