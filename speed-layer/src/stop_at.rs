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

    /// A cut of the partition's log was accepted, which reaches as far as `end` since.
    pub fn end_earlier(&mut self, partition: KafkaPartition, end: Offset) {
        self.ends.entry(partition).and_modify(|asked| *asked = end.min(*asked));
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
        StopAt { ends, short: BTreeMap::new() }
    }
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
