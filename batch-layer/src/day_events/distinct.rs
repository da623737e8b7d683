//! The distinct events of some cameras: sorted, and freed of those that equal another.
//!
//! Events of a camera come mostly in the order of their times, in several runs, which the stable sort makes use of. Plates
//! are looked at only where everything else is equal.

use std::ops::Range;

use super::record::{self, Key};

/// The distinct events of neighbours in the day's list of cameras, by camera, event time and speed.
#[derive(Debug)]
pub(crate) struct DistinctEvents {
    /// The events of each camera, with its place in the day's list.
    pub(super) cameras: Vec<(usize, Range<usize>)>,
    pub(super) keys: Vec<Key>,
    read: u64,
}

impl DistinctEvents {
    /// Rows that repeated another.
    pub(crate) fn duplicates(&self) -> u64 {
        self.read - self.len()
    }

    /// Distinct events.
    pub(crate) fn len(&self) -> u64 {
        self.keys.len() as u64
    }

    /// The distinct ones of the records in `buffer` whose cameras have their places among `places`. `place` says which a camera
    /// has, and `rows` how many records a place has.
    pub(super) fn of(
        buffer: &[u8],
        places: Range<usize>,
        place: impl Fn(u32) -> usize,
        rows: impl Fn(usize) -> u64,
    ) -> DistinctEvents {
        let mut starts = Vec::with_capacity(places.len() + 1);
        let mut total = 0;
        for at in places.clone() {
            starts.push(total);
            total += usize::try_from(rows(at)).expect("they are in memory");
        }
        let mut next = starts.clone();
        let mut events = vec![(Key::default(), 0_usize); total];
        for record in record::all(buffer) {
            let Some(at) = place(record.camera).checked_sub(places.start) else { continue };
            if let Some(next) = next.get_mut(at) {
                events[*next] = (record.key, record.plate_at);
                *next += 1;
            }
        }
        starts.push(total);
        let mut keys = Vec::with_capacity(total);
        let mut cameras = Vec::with_capacity(places.len());
        for (of_camera, at) in starts.windows(2).zip(places) {
            let first = keys.len();
            append_distinct(buffer, &mut events[of_camera[0]..of_camera[1]], &mut keys);
            cameras.push((at, first..keys.len()));
        }
        DistinctEvents { cameras, keys, read: total as u64 }
    }
}

/// Sorts the events of one camera, and appends the keys of those that differ.
fn append_distinct(buffer: &[u8], events: &mut [(Key, usize)], keys: &mut Vec<Key>) {
    events.sort_by_key(|(key, _)| *key);
    for equal in events.chunk_by(|a, b| a.0 == b.0) {
        keys.push(equal[0].0);
        if equal.len() > 1 {
            let plates = equal.iter().map(|(_, plate_at)| record::plate(buffer, *plate_at));
            let mut plates: Vec<_> = plates.collect();
            plates.sort_unstable();
            plates.dedup();
            keys.extend(std::iter::repeat_n(equal[0].0, plates.len() - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use lake_model::{Speed, Timestamp};
    use proptest::prelude::*;

    use super::*;

    type Event<'a> = (u32, i64, u32, Option<&'a str>);

    fn distinct(events: &[Event<'_>]) -> DistinctEvents {
        let mut buffer = Vec::new();
        for (camera, micros, speed, plate) in events {
            let time = Timestamp::from_micros(*micros);
            let speed = Speed::from_thousandths(*speed);
            let key = Key::new(Timestamp::from_micros(0), time, speed).unwrap();
            record::push(&mut buffer, *camera, key, *plate);
        }
        let rows =
            |place: usize| events.iter().filter(|event| event.0 as usize == place).count() as u64;
        DistinctEvents::of(&buffer, 0..3, |camera| camera as usize, rows)
    }

    #[test]
    fn events_equal_in_every_part_of_their_identity_count_once() {
        let event = (1, 10, 50_000, Some("А123ВС77"));
        let found = distinct(&[event, event, event]);
        assert_eq!((found.len(), found.duplicates()), (1, 2));
        let found = distinct(&[(1, 10, 5, None), (1, 10, 5, None)]);
        assert_eq!((found.len(), found.duplicates()), (1, 1));
    }

    #[test]
    fn events_that_differ_in_any_part_are_all_kept() {
        let events = [
            (1, 10, 5, Some("A")),
            (2, 10, 5, Some("A")),
            (1, 11, 5, Some("A")),
            (1, 10, 6, Some("A")),
            (1, 10, 5, Some("B")),
            (1, 10, 5, Some("AA")),
            (1, 10, 5, Some("")),
            (1, 10, 5, None),
        ];
        let found = distinct(&events);
        assert_eq!((found.len(), found.duplicates()), (8, 0));
    }

    proptest! {
        #[test]
        fn they_are_the_set_of_the_events_of_the_cameras_asked_for(
            events in prop::collection::vec(
                (0_u32..5, 0_i64..4, 0_u32..3, prop::option::of(prop::sample::select(vec!["", "A", "B"]))),
                0..60,
            ),
        ) {
            let found = distinct(&events);
            let expected: BTreeSet<_> = events.iter().filter(|event| event.0 < 3).collect();
            let held = found.cameras.iter().flat_map(|(place, range)| {
                let start = Timestamp::from_micros(0);
                found.keys[range.clone()].iter().map(move |key| {
                    (*place, key.event_time(start).micros(), key.speed().thousandths())
                })
            });
            let expected: Vec<_> =
                expected.into_iter().map(|event| (event.0 as usize, event.1, event.2)).collect();
            prop_assert_eq!(held.collect::<Vec<_>>(), expected);
            let read = events.iter().filter(|event| event.0 < 3).count() as u64;
            prop_assert_eq!(found.len() + found.duplicates(), read);
        }
    }
}
