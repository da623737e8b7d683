//! The partitions that this instance holds, and what is known of all of them together: what waits, how far they are, and
//! the metrics of their watermarks and windows.

use std::collections::BTreeMap;

use lake_model::time::SECOND_US;
use lake_model::{KafkaPartition, Lateness, Offset, Timestamp};

use crate::dead_share::Tally;
use crate::partition::Partition;
use crate::publish::{Published, TableWork};

/// How far the clocks of a broker and of this machine may differ.
const CLOCK_SKEW_US: i64 = 600 * SECOND_US;

/// The partitions held, by number.
#[derive(Debug, Default)]
pub struct PartitionSet {
    held: BTreeMap<KafkaPartition, Partition>,
    /// What was committed by this instance.
    pub landed: Tally,
}

impl PartitionSet {
    /// Holds `partition` from now on, in place of what was held of it before.
    pub fn insert(&mut self, partition: Partition) {
        self.held.insert(partition.id(), partition);
    }

    /// Drops a partition with all that is held of it.
    pub fn remove(&mut self, id: KafkaPartition) {
        self.held.remove(&id);
    }

    /// Drops partitions that are another instance's from now on.
    pub fn release(&mut self, ids: &[KafkaPartition]) {
        self.held.retain(|id, _| !ids.contains(id));
        ids.iter().for_each(|id| watermark_ahead(*id).set(0.0));
    }

    /// The partition, if it is held.
    pub fn get(&self, id: KafkaPartition) -> Option<&Partition> {
        self.held.get(&id)
    }

    /// The partition, if it is held.
    pub fn get_mut(&mut self, id: KafkaPartition) -> Option<&mut Partition> {
        self.held.get_mut(&id)
    }

    /// The partition, if it is held under that epoch: what comes under another is stale.
    pub fn current(&mut self, id: KafkaPartition, epoch: u64) -> Option<&mut Partition> {
        self.held.get_mut(&id).filter(|partition| partition.epoch() == epoch)
    }

    /// The partitions in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.held.values()
    }

    /// The partitions in the order of their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.held.values_mut()
    }

    /// Whether any partition's position is ahead of what the tables hold.
    pub fn is_ahead(&self) -> bool {
        self.iter().any(Partition::is_ahead)
    }

    /// About how many bytes of rows wait to land.
    pub fn waiting_bytes(&self) -> usize {
        self.iter().map(|partition| partition.landing.bytes()).sum()
    }

    /// The partitions whose work went in, with the next offset that the table now holds of them.
    pub fn committed<'a>(
        &'a mut self,
        work: &TableWork,
        published: &Published,
    ) -> Vec<(&'a mut Partition, Option<Offset>)> {
        let next: BTreeMap<KafkaPartition, Option<Offset>> = work
            .partitions
            .iter()
            .filter(|work| !published.fenced.contains(&work.partition))
            .map(|work| (work.partition, work.progress.next_offset))
            .collect();
        let partitions = self.held.values_mut();
        partitions.filter_map(|p| next.get(&p.id()).map(|next| (p, *next))).collect()
    }

    /// How far both tables are, of each partition that they hold anything of.
    pub fn group_offsets(&self) -> Vec<(KafkaPartition, Offset)> {
        let offset = |partition: &Partition| {
            partition.landing.landed().events.min(partition.avg_speed_offset)
        };
        self.iter().filter_map(|partition| Some((partition.id(), offset(partition)?))).collect()
    }

    /// Records how far the watermarks are ahead of the clock: one that is far ahead makes everybody's events late.
    pub fn record_watermarks(&self, now: Timestamp, lateness: Lateness) {
        for partition in self.iter() {
            let max = partition.clock.now().max_event_time();
            let watermark = max.map(|max| lateness.watermark(max));
            let ahead_us = watermark.map_or(0, |watermark| watermark.saturating_since(now).max(0));
            watermark_ahead(partition.id()).set(ahead_us as f64 / 1e6);
        }
    }

    /// Records how old the newest record is, and how many windows are open and how much memory they occupy.
    pub fn record_windows(&self, now: Timestamp) {
        // One from the future is a clock's fault, and says nothing of how old the figures are.
        let until = now.saturating_add(CLOCK_SKEW_US);
        let known = self.iter().filter_map(Partition::newest_record);
        if let Some(newest) = known.filter(|newest| *newest <= until).max() {
            let age_us = now.saturating_since(newest);
            metrics::gauge!("lambdalake_speed_freshness_seconds").set(age_us as f64 / 1e6);
        }
        let panes: usize = self.iter().map(|partition| partition.provisional.panes()).sum();
        metrics::gauge!("lambdalake_speed_open_windows").set(panes as f64);
        let bytes: usize = self.iter().map(|partition| partition.provisional.bytes()).sum();
        metrics::gauge!("lambdalake_speed_window_bytes").set(bytes as f64);
    }
}

fn watermark_ahead(partition: KafkaPartition) -> metrics::Gauge {
    metrics::gauge!(
        "lambdalake_speed_watermark_ahead_seconds", "partition" => partition.to_string()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::clock::Clock;
    use crate::landing::{Landed, LandingBuffer};
    use crate::provisional::Provisional;

    fn held(id: i32, epoch: u64, events: Option<i64>, averaged: Option<i64>) -> Partition {
        let (events, averaged) = (events.map(Offset), averaged.map(Offset));
        let landing = LandingBuffer::resumed(Landed { events, ..Landed::default() });
        let (clock, provisional) = (Clock::default(), Provisional::default());
        let (id, position) = (KafkaPartition(id), Offset(7));
        Partition::new(id, epoch, position, clock, landing, provisional, averaged)
    }

    #[test]
    fn what_comes_under_another_epoch_is_of_no_partition() {
        let mut set = PartitionSet::default();
        set.insert(held(3, 2, None, None));
        assert!(set.current(KafkaPartition(3), 1).is_none());
        assert_eq!(set.current(KafkaPartition(3), 2).unwrap().id(), KafkaPartition(3));
        assert!(set.current(KafkaPartition(4), 2).is_none());
    }

    #[test]
    fn the_group_learns_the_lesser_of_both_tables() {
        let mut set = PartitionSet::default();
        set.insert(held(0, 1, Some(5), Some(3)));
        set.insert(held(1, 1, Some(5), Some(9)));
        set.insert(held(2, 1, None, Some(9)));
        let expected = [(KafkaPartition(0), Offset(3)), (KafkaPartition(1), Offset(5))];
        assert_eq!(set.group_offsets(), expected);
    }

    #[test]
    fn released_partitions_are_gone_and_the_others_stay() {
        let mut set = PartitionSet::default();
        (0..3).for_each(|id| set.insert(held(id, 1, None, None)));
        set.release(&[0, 2].map(KafkaPartition));
        assert_eq!(set.iter().map(Partition::id).collect::<Vec<_>>(), [KafkaPartition(1)]);
    }
}
