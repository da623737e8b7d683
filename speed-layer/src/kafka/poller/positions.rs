//! Where each assigned partition is: the records that the engine does not have yet, the position that it was given last,
//! and whether and when the partition is to be sought before anything more of it counts.
//!
//! # Consistency
//! Positions come from records and from ends of partitions, never from librdkafka. While a partition needs a seek, nothing
//! that comes of it is accepted. A position has the leader epoch of what is before it, by which librdkafka validates it: at a
//! seek, not at an assignment. So an assigned partition whose epoch is known needs a seek, too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lake_model::{KafkaPartition, LeaderEpoch, Offset};

use super::Waits;
use super::faults::wait_after;
use crate::decode::DecodedBatch;
use crate::source::Start;

/// An assigned partition.
pub(super) struct Fetched {
    /// Decoded records that the engine does not have yet, tagged with the partition's epoch.
    pub(super) pending: DecodedBatch,
    /// The position that the engine was given last.
    pub(super) position: Offset,
    /// The epoch of the leader that appended what is before the next offset; the records that the engine does not have yet
    /// are of one leader.
    pub(super) leader_epoch: Option<LeaderEpoch>,
    /// When it is to be sought: what comes until then is of another place.
    seek_at: Option<Instant>,
    /// The failures to fetch it, if there were any of late.
    failures: Option<Failures>,
}

/// Failures to fetch a partition from one offset.
#[derive(Clone, Copy)]
struct Failures {
    offset: Offset,
    count: u32,
    last: Instant,
}

/// A failure is another one than the last if that was so long ago: one that stays comes again after the longest wait and the
/// time-out of a request.
const FORGET_FAILURES_AFTER: Duration = Duration::from_secs(600);

impl Fetched {
    /// The offset after the last record decoded.
    fn next_offset(&self) -> Offset {
        self.pending.last_offset().map_or(self.position, Offset::next)
    }

    /// Where it goes on: after the last record decoded.
    fn start(&self, partition: KafkaPartition) -> Start {
        let (offset, epoch) = (self.next_offset(), self.pending.epoch);
        Start { partition, offset, epoch, leader_epoch: self.leader_epoch }
    }

    /// What comes is of another place until a seek has succeeded.
    fn invalidate_position(&mut self, now: Instant) {
        self.seek_at.get_or_insert(now);
    }
}

/// The assigned partitions, by number.
pub(super) struct Positions {
    fetched: BTreeMap<KafkaPartition, Fetched>,
    /// The longest wait before a partition is fetched again after a fault.
    longest_wait: Duration,
    /// Partitions whose log has to grow to where they are.
    beyond_end: BTreeSet<KafkaPartition>,
}

impl Positions {
    /// No partitions yet.
    pub(super) fn new(waits: Waits) -> Positions {
        let (fetched, beyond_end) = (BTreeMap::new(), BTreeSet::new());
        Positions { fetched, longest_wait: waits.fetch_again, beyond_end }
    }

    /// From now on records of the partition are of this start.
    pub(super) fn begin(&mut self, start: Start, now: Instant) {
        let Start { partition, offset, epoch, leader_epoch } = start;
        let fetched = Fetched {
            pending: DecodedBatch::new(partition, epoch),
            position: offset,
            leader_epoch,
            seek_at: leader_epoch.map(|_| now),
            failures: None,
        };
        self.fetched.insert(partition, fetched);
        self.beyond_end.remove(&partition);
    }

    /// As [`Positions::begin`], from another offset than where it is fetched. Returns false, and changes nothing, if the
    /// partition was taken away or started anew since that was asked.
    pub(super) fn begin_elsewhere(&mut self, start: Start, now: Instant) -> bool {
        let held = self.fetched.get(&start.partition);
        let is_current = held.is_some_and(|held| held.pending.epoch <= start.epoch);
        if is_current {
            self.begin(start, now);
            self.fetched
                .entry(start.partition)
                .and_modify(|fetched| fetched.invalidate_position(now));
        }
        is_current
    }

    /// The partition needs a seek to where it is.
    pub(super) fn invalidate(&mut self, partition: KafkaPartition, now: Instant) {
        self.fetched.entry(partition).and_modify(|fetched| fetched.invalidate_position(now));
    }

    /// It was in vain to fetch the partition from where it is: it needs a seek, some time later. Returns after what time; `None`
    /// if that was tried too often.
    pub(super) fn note_failure(
        &mut self,
        partition: KafkaPartition,
        now: Instant,
    ) -> Option<Duration> {
        let fetched = self.fetched.get_mut(&partition)?;
        let offset = fetched.next_offset();
        let before = fetched
            .failures
            .filter(|before| before.offset == offset && now < before.last + FORGET_FAILURES_AFTER);
        let count = before.map_or(1, |before| before.count + 1);
        fetched.failures = Some(Failures { offset, count, last: now });
        let wait = wait_after(count, self.longest_wait)?;
        fetched.seek_at = Some(now + wait);
        Some(wait)
    }

    /// The partition is not sought before its log has grown to where it is, which is looked at again later.
    pub(super) fn wait_for_growth(&mut self, partition: KafkaPartition, look_at: Instant) {
        self.fetched.entry(partition).and_modify(|fetched| fetched.seek_at = Some(look_at));
        self.beyond_end.insert(partition);
    }

    /// The log has grown to where the partition is.
    pub(super) fn has_grown(&mut self, partition: KafkaPartition, now: Instant) {
        self.fetched.entry(partition).and_modify(|fetched| fetched.seek_at = Some(now));
        self.beyond_end.remove(&partition);
    }

    /// Where partitions are whose log has to grow to that, and is to be looked at now.
    pub(super) fn awaiting_growth(&self, now: Instant) -> Vec<Start> {
        let starts = self.starts_of(|fetched| fetched.seek_at.is_some_and(|at| at <= now));
        starts.into_iter().filter(|start| self.beyond_end.contains(&start.partition)).collect()
    }

    /// All partitions need a seek to where they are. To be called after every pause.
    pub(super) fn invalidate_all(&mut self, now: Instant) {
        self.fetched.values_mut().for_each(|fetched| fetched.invalidate_position(now));
    }

    /// A seek of the partition has succeeded: what comes counts again.
    pub(super) fn validate(&mut self, partition: KafkaPartition) {
        self.fetched.entry(partition).and_modify(|fetched| fetched.seek_at = None);
    }

    /// The partition was assigned again from where it is: what comes counts, unless its position is to be validated, or it
    /// waits for something.
    pub(super) fn assigned_again(&mut self, partition: KafkaPartition, now: Instant) {
        let Some(fetched) = self.fetched.get_mut(&partition) else { return };
        if !self.beyond_end.contains(&partition) && fetched.seek_at.is_none_or(|at| at <= now) {
            fetched.seek_at = fetched.leader_epoch.map(|_| now);
        }
    }

    /// Whether a partition is to be sought now.
    pub(super) fn needs_seek(&self, now: Instant) -> bool {
        let mut fetched = self.fetched.iter().filter(|(id, _)| !self.beyond_end.contains(id));
        fetched.any(|(_, fetched)| fetched.seek_at.is_some_and(|at| at <= now))
    }

    /// Where partitions need a seek to, if the time at which they are to be sought is one that is meant.
    pub(super) fn needing_seek(&self, is_meant: impl Fn(Instant) -> bool) -> Vec<Start> {
        let mut starts = self.starts_of(|fetched| fetched.seek_at.is_some_and(&is_meant));
        starts.retain(|start| !self.beyond_end.contains(&start.partition));
        starts
    }

    /// Where each partition goes on: after the last record decoded.
    pub(super) fn starts(&self) -> Vec<Start> {
        self.starts_of(|_| true)
    }

    /// The partition, if what comes of it counts.
    pub(super) fn valid(&mut self, partition: KafkaPartition) -> Option<&mut Fetched> {
        self.fetched.get_mut(&partition).filter(|fetched| fetched.seek_at.is_none())
    }

    /// The partition, if it is assigned.
    pub(super) fn get_mut(&mut self, partition: KafkaPartition) -> Option<&mut Fetched> {
        self.fetched.get_mut(&partition)
    }

    /// Forgets partitions that are taken away.
    pub(super) fn release(&mut self, partitions: &[KafkaPartition]) {
        self.fetched.retain(|partition, _| !partitions.contains(partition));
        self.beyond_end.retain(|partition| !partitions.contains(partition));
    }

    pub(super) fn contains(&self, partition: KafkaPartition) -> bool {
        self.fetched.contains_key(&partition)
    }

    /// The numbers of the partitions that are fetched: what comes of the others does not count until a seek.
    pub(super) fn valid_ids(&self) -> Vec<KafkaPartition> {
        let valid = self.fetched.iter().filter(|(_, fetched)| fetched.seek_at.is_none());
        valid.map(|(partition, _)| *partition).collect()
    }

    /// The numbers of the partitions.
    pub(super) fn ids(&self) -> Vec<KafkaPartition> {
        self.fetched.keys().copied().collect()
    }

    /// The partitions with the positions that the engine was given last.
    pub(super) fn positions(&self) -> Vec<(KafkaPartition, Offset)> {
        self.fetched.iter().map(|(partition, fetched)| (*partition, fetched.position)).collect()
    }

    /// Where the partition goes on, if it is assigned.
    pub(super) fn start_of(&self, partition: KafkaPartition) -> Option<Start> {
        self.fetched.get(&partition).map(|fetched| fetched.start(partition))
    }

    fn starts_of(&self, is_meant: impl Fn(&Fetched) -> bool) -> Vec<Start> {
        let meant = self.fetched.iter().filter(|(_, fetched)| is_meant(fetched));
        meant.map(|(partition, fetched)| fetched.start(*partition)).collect()
    }
}

#[cfg(test)]
mod tests;
