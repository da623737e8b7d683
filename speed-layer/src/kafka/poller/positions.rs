//! Where each assigned partition is: the records that the engine does not have yet, the position that it was given last,
//! and whether the partition needs a seek before anything more of it counts.
//!
//! # Consistency
//! Positions come from records and from ends of partitions, never from librdkafka. While a partition needs a seek, nothing
//! that comes of it is accepted.

use std::collections::BTreeMap;
use std::time::Instant;

use lake_model::{KafkaPartition, Offset};

use crate::decode::DecodedBatch;
use crate::source::Start;

/// An assigned partition.
pub(super) struct Fetched {
    /// Decoded records that the engine does not have yet, tagged with the partition's epoch.
    pub(super) pending: DecodedBatch,
    /// The position that the engine was given last.
    pub(super) position: Offset,
    /// Since when it needs a seek: what comes until then is of another place.
    needs_seek_since: Option<Instant>,
}

impl Fetched {
    /// The offset after the last record decoded.
    fn next_offset(&self) -> Offset {
        self.pending.last_offset().map_or(self.position, Offset::next)
    }

    /// What comes is of another place until a seek has succeeded.
    fn invalidate_position(&mut self, now: Instant) {
        self.needs_seek_since.get_or_insert(now);
    }
}

/// The assigned partitions, by number.
#[derive(Default)]
pub(super) struct Positions {
    fetched: BTreeMap<KafkaPartition, Fetched>,
}

impl Positions {
    /// From now on records of the partition are of this start.
    pub(super) fn begin(&mut self, start: Start) {
        let pending = DecodedBatch::new(start.partition, start.epoch);
        let fetched = Fetched { pending, position: start.offset, needs_seek_since: None };
        self.fetched.insert(start.partition, fetched);
    }

    /// As [`Positions::begin`], from another offset than where it is fetched. Returns false, and changes nothing, if the
    /// partition was taken away or started anew since that was asked.
    pub(super) fn begin_elsewhere(&mut self, start: Start, now: Instant) -> bool {
        let held = self.fetched.get(&start.partition);
        let is_current = held.is_some_and(|held| held.pending.epoch <= start.epoch);
        if is_current {
            self.begin(start);
            self.fetched
                .entry(start.partition)
                .and_modify(|fetched| fetched.invalidate_position(now));
        }
        is_current
    }

    /// All partitions need a seek to where they are. To be called after every pause.
    pub(super) fn invalidate_all(&mut self, now: Instant) {
        self.fetched.values_mut().for_each(|fetched| fetched.invalidate_position(now));
    }

    /// A seek of the partition has succeeded: what comes counts again.
    pub(super) fn validate(&mut self, partition: KafkaPartition) {
        self.fetched.entry(partition).and_modify(|fetched| fetched.needs_seek_since = None);
    }

    /// Whether a partition needs a seek.
    pub(super) fn needs_seek(&self) -> bool {
        self.fetched.values().any(|fetched| fetched.needs_seek_since.is_some())
    }

    /// Where partitions need a seek to that have waited for it so long.
    pub(super) fn needing_seek(&self, has_waited: impl Fn(Instant) -> bool) -> Vec<Start> {
        let needs_seek = |fetched: &Fetched| fetched.needs_seek_since.is_some_and(&has_waited);
        self.starts_of(needs_seek)
    }

    /// Where each partition goes on: after the last record decoded.
    pub(super) fn starts(&self) -> Vec<Start> {
        self.starts_of(|_| true)
    }

    /// The partition, if what comes of it counts.
    pub(super) fn valid(&mut self, partition: KafkaPartition) -> Option<&mut Fetched> {
        self.fetched.get_mut(&partition).filter(|fetched| fetched.needs_seek_since.is_none())
    }

    /// The partition, if it is assigned.
    pub(super) fn get_mut(&mut self, partition: KafkaPartition) -> Option<&mut Fetched> {
        self.fetched.get_mut(&partition)
    }

    /// Forgets partitions that are taken away.
    pub(super) fn release(&mut self, partitions: &[KafkaPartition]) {
        self.fetched.retain(|partition, _| !partitions.contains(partition));
    }

    pub(super) fn contains(&self, partition: KafkaPartition) -> bool {
        self.fetched.contains_key(&partition)
    }

    /// The numbers of the partitions.
    pub(super) fn ids(&self) -> Vec<KafkaPartition> {
        self.fetched.keys().copied().collect()
    }

    /// The partitions with the positions that the engine was given last.
    pub(super) fn positions(&self) -> Vec<(KafkaPartition, Offset)> {
        self.fetched.iter().map(|(partition, fetched)| (*partition, fetched.position)).collect()
    }

    fn starts_of(&self, is_meant: impl Fn(&Fetched) -> bool) -> Vec<Start> {
        let start = |(partition, fetched): (&KafkaPartition, &Fetched)| Start {
            partition: *partition,
            offset: fetched.next_offset(),
            epoch: fetched.pending.epoch,
        };
        self.fetched.iter().filter(|(_, fetched)| is_meant(fetched)).map(start).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::now;
    use super::*;

    const PARTITION: KafkaPartition = KafkaPartition(3);

    fn start(offset: i64, epoch: u64) -> Start {
        Start { partition: PARTITION, offset: Offset(offset), epoch }
    }

    #[test]
    fn nothing_of_a_partition_counts_from_a_pause_until_a_seek_has_succeeded() {
        let mut positions = Positions::default();
        positions.begin(start(10, 1));
        assert!(positions.valid(PARTITION).is_some());
        positions.invalidate_all(now());
        assert!(positions.valid(PARTITION).is_none());
        assert_eq!(positions.needing_seek(|_| true), [start(10, 1)]);
        positions.validate(PARTITION);
        assert!(
            positions.valid(PARTITION).is_some() && positions.needing_seek(|_| true).is_empty()
        );
    }

    #[test]
    fn a_seek_of_an_earlier_assignment_is_passed_over() {
        let mut positions = Positions::default();
        assert!(!positions.begin_elsewhere(start(10, 1), now()), "it is not assigned");
        positions.begin(start(20, 2));
        assert!(!positions.begin_elsewhere(start(10, 1), now()), "it was asked for earlier");
        assert_eq!(positions.positions(), [(PARTITION, Offset(20))]);
        assert!(positions.begin_elsewhere(start(10, 2), now()));
        assert_eq!(positions.needing_seek(|_| true), [start(10, 2)]);
    }

    #[test]
    fn a_partition_waits_for_its_seek_since_the_first_pause() {
        let mut positions = Positions::default();
        positions.begin(start(10, 1));
        let first = now();
        positions.invalidate_all(first);
        positions.invalidate_all(now());
        assert_eq!(positions.needing_seek(|since| since == first).len(), 1);
    }
}
