//! The ends to stop at: whether everything before them is in the tables, by this instance or by others.
//!
//! An end that was asked for may lie beyond what a broker delivers for a while, as after a failover or from a follower. It
//! is reached when everything before it was fetched, not when a broker has no more.
//!
//! An end may also lie before what the tables hold. Then either others have landed more since it was asked for, or the log
//! was cut, or is another topic's: that shows when the partition is loaded, and it is not at its end before. Where a cut is
//! accepted, the end is one of a log that is gone, and the end that the log has by then takes its place.

use std::collections::BTreeMap;

use lake_delta::TableLog;
use lake_model::{KafkaPartition, Offset};

use crate::partition_set::PartitionSet;
use crate::tables::Tables;
use crate::truncation;

/// The end offsets that a run stops at, by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopAt {
    ends: BTreeMap<KafkaPartition, Offset>,
    /// Partitions whose log seemed to end before what was landed, with the next offset then.
    short: BTreeMap<KafkaPartition, Offset>,
    /// How many cuts of a partition's log were accepted when the ends were asked for.
    cuts: BTreeMap<KafkaPartition, usize>,
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

    /// Of a log that was cut after its end was asked for, as is accepted, the end `high` that it has now is to be reached. An end
    /// that was asked for later than the cut stays: what Kafka says now may be less for a while.
    pub fn follow_cuts(&mut self, tables: &Tables, partition: KafkaPartition, high: Offset) {
        let count = cuts(tables, partition);
        let newest = truncation::newest(&tables.events, &tables.app_ids, partition);
        if let Some((cut, count)) = newest.zip(count)
            && self.cuts.insert(partition, count) != Some(count)
        {
            let end = cut.position.max(high);
            self.ends.entry(partition).and_modify(|asked| *asked = end.min(*asked));
        }
    }

    /// Whether the tables or the partitions held reach every end.
    pub fn is_reached(&self, partitions: &PartitionSet, tables: &Tables) -> bool {
        self.ends.iter().all(|(id, end)| match partitions.get(*id) {
            Some(partition) => partition.position() >= *end,
            None => {
                let next = |log: &TableLog| {
                    tables.app_ids.progress(log.state(), *id).next_offset.unwrap_or(Offset::ZERO)
                };
                let is_in_doubt = self.short.get(id) == Some(&next(&tables.events))
                    && truncation::accepted(&tables.events, &tables.app_ids, *id).is_none();
                !is_in_doubt && next(&tables.events).min(next(&tables.avg_speed)) >= *end
            }
        })
    }

    /// Whether the partitions held reach their ends, so that only other instances can reach those that are left.
    pub fn is_reached_here(&self, partitions: &PartitionSet) -> bool {
        partitions.iter().all(|partition| {
            self.ends.get(&partition.id()).is_none_or(|end| partition.position() >= *end)
        })
    }
}

/// Stops at these end offsets, by partition.
impl From<BTreeMap<KafkaPartition, Offset>> for StopAt {
    fn from(ends: BTreeMap<KafkaPartition, Offset>) -> StopAt {
        StopAt { ends, short: BTreeMap::new(), cuts: BTreeMap::new() }
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
