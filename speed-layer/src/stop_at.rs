//! The ends to stop at: whether everything before them is in the tables, by this instance or by others.
//!
//! An end that was asked for may lie beyond what a broker delivers for a while, as after a failover or from a follower. It
//! is reached when everything before it was fetched, not when a broker has no more.
//!
//! An end may also lie before what the tables hold. Then either others have landed more since it was asked for, or the log
//! was cut, or is another topic's: that shows when Kafka is asked for what comes next, and it is not at its end before. Where a cut is
//! accepted, the end may be one of a log that is gone. Then the end that the log has by then takes its place, once the log has not
//! grown for a while: whichever broker says where it ends may lag behind.

use std::collections::BTreeMap;
use std::time::Duration;

use lake_delta::TableLog;
use lake_model::{KafkaPartition, Offset};
use tokio::time::Instant;

use crate::partition_set::PartitionSet;
use crate::tables::Tables;
use crate::truncation;

/// How long a log must not have grown for its end to count. Brokers let a replica lag behind for half as long
/// (`replica.lag.time.max.ms`) before they elect it no more.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// The end offsets that a run stops at, by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopAt {
    ends: BTreeMap<KafkaPartition, Offset>,
    /// Partitions whose log seemed to end before what was landed, with the next offset then, until Kafka has delivered from there.
    short: BTreeMap<KafkaPartition, Offset>,
    /// How many cuts of a partition's log are known to be accepted.
    cuts: BTreeMap<KafkaPartition, usize>,
    /// The ends of logs whose cut was accepted since their ends were asked for.
    after_cuts: BTreeMap<KafkaPartition, EndAfterCut>,
}

/// The end of a log that was cut, as far as it was seen, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EndAfterCut {
    end: Offset,
    since: Instant,
}

impl StopAt {
    /// These ends, where `newer` were asked for after `tables` were read: a partition that ends before what those hold is at
    /// its end only once it was loaded, here or by others.
    #[must_use]
    pub fn doubting(self, tables: &Tables, newer: &BTreeMap<KafkaPartition, Offset>) -> StopAt {
        StopAt { short: beyond(newer, tables).collect(), ..self }
    }

    /// Whether the tables hold more than what is before an end.
    pub fn is_exceeded(&self, tables: &Tables) -> bool {
        beyond(&self.ends, tables).next().is_some()
    }

    /// These ends are of logs whose cuts `tables` hold.
    #[must_use]
    pub fn after_cuts(self, tables: &Tables) -> StopAt {
        let count = |id: &KafkaPartition| cuts(tables, *id).map(|count| (*id, count));
        StopAt { cuts: self.ends.keys().filter_map(count).collect(), ..self }
    }

    /// The log of the partition reaches `high` at least, as Kafka says now. If a cut of it was accepted after its end was asked for,
    /// that may be its end.
    pub fn observe_end(
        &mut self,
        tables: &Tables,
        partition: KafkaPartition,
        high: Offset,
        now: Instant,
    ) {
        let newest = truncation::newest(&tables.events, &tables.app_ids, partition);
        let Some((accepted, count)) = newest.zip(cuts(tables, partition)) else { return };
        let is_another_cut = self.cuts.insert(partition, count) != Some(count);
        let observed = EndAfterCut { end: accepted.cut.position.max(high), since: now };
        match self.after_cuts.get_mut(&partition) {
            Some(before) if is_another_cut || before.end < observed.end => *before = observed,
            None if is_another_cut => drop(self.after_cuts.insert(partition, observed)),
            _ => {}
        }
    }

    /// The ends to reach by what is known at `now`.
    fn ends(&self, now: Instant) -> impl Iterator<Item = (KafkaPartition, Offset)> {
        self.ends.iter().map(move |(id, asked)| {
            let settled = self.after_cuts.get(id).filter(|it| now - it.since >= SETTLED_AFTER);
            (*id, settled.map_or(*asked, |it| it.end.min(*asked)))
        })
    }

    /// Kafka delivers what comes after the tables: it has the partition's log as it was read.
    pub fn observe_delivery(&mut self, partition: KafkaPartition) {
        self.short.remove(&partition);
    }

    /// Whether the tables or the partitions held reach every end.
    pub fn is_reached(&self, partitions: &PartitionSet, tables: &Tables, now: Instant) -> bool {
        self.ends(now).all(|(id, end)| self.is_at(id, end, partitions, tables))
    }

    /// Whether others accepted a cut of a partition that is not held here, after its end was asked for: where its log ends by now
    /// is for Kafka to say, as long as that matters.
    pub fn is_cut_elsewhere(
        &self,
        partitions: &PartitionSet,
        tables: &Tables,
        now: Instant,
    ) -> bool {
        self.ends(now).any(|(id, end)| {
            let is_another_cut = cuts(tables, id) != self.cuts.get(&id).copied();
            let is_cut = is_another_cut || self.after_cuts.contains_key(&id);
            is_cut && partitions.get(id).is_none() && !self.is_at(id, end, partitions, tables)
        })
    }

    /// Whether the tables or the partition held reach that end.
    fn is_at(
        &self,
        id: KafkaPartition,
        end: Offset,
        partitions: &PartitionSet,
        tables: &Tables,
    ) -> bool {
        let next = |log: &TableLog| {
            tables.app_ids.progress(log.state(), id).next_offset.unwrap_or(Offset::ZERO)
        };
        let is_in_doubt = self.short.get(&id) == Some(&next(&tables.events))
            && truncation::accepted(&tables.events, &tables.app_ids, id).is_none();
        let reached = match partitions.get(id) {
            Some(partition) => partition.position(),
            None => next(&tables.events).min(next(&tables.avg_speed)),
        };
        !is_in_doubt && reached >= end
    }

    /// Whether the partitions held reach their ends, so that only other instances can reach those that are left.
    pub fn is_reached_here(&self, partitions: &PartitionSet, now: Instant) -> bool {
        let mut held = self.ends(now).filter_map(|(id, end)| Some((partitions.get(id)?, end)));
        held.all(|(partition, end)| partition.position() >= end)
    }
}

/// Stops at these end offsets, by partition.
impl From<BTreeMap<KafkaPartition, Offset>> for StopAt {
    fn from(ends: BTreeMap<KafkaPartition, Offset>) -> StopAt {
        let (short, cuts, after_cuts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        StopAt { ends, short, cuts, after_cuts }
    }
}

/// How many cuts of the partition's log were accepted, if any was.
fn cuts(tables: &Tables, partition: KafkaPartition) -> Option<usize> {
    let count = tables.app_ids.truncation_count(tables.events.state(), partition);
    (count > 0).then_some(count)
}

/// The partitions of which `tables` hold more than what is before these ends, with the next offset.
fn beyond(
    ends: &BTreeMap<KafkaPartition, Offset>,
    tables: &Tables,
) -> impl Iterator<Item = (KafkaPartition, Offset)> {
    let landed = |id| tables.app_ids.progress(tables.events.state(), id).next_offset;
    let next = ends.iter().filter_map(move |(id, end)| Some((*id, landed(*id)?, *end)));
    next.filter(|(_, next, end)| next > end).map(|(id, next, _)| (id, next))
}

#[cfg(test)]
mod tests;
