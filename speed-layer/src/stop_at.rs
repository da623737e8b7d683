//! The ends to stop at: whether everything before them is in the tables, by this instance or by others.
//!
//! An end that was asked for may lie beyond what a broker delivers for a while, as after a failover or from a follower. It
//! is reached when everything before it was fetched, not when a broker has no more.

use std::collections::BTreeMap;

use lake_delta::TableLog;
use lake_model::{KafkaPartition, Offset};

use crate::partition_set::PartitionSet;
use crate::tables::Tables;

/// The end offsets that a run stops at, by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopAt {
    ends: BTreeMap<KafkaPartition, Offset>,
}

impl StopAt {
    /// Stops at these end offsets.
    pub fn new(ends: BTreeMap<KafkaPartition, Offset>) -> StopAt {
        StopAt { ends }
    }

    /// Whether the tables or the partitions held reach every end.
    pub fn is_reached(&self, partitions: &PartitionSet, tables: &Tables) -> bool {
        self.ends.iter().all(|(id, end)| match partitions.get(*id) {
            Some(partition) => partition.position() >= *end,
            None => {
                let next = |log: &TableLog| {
                    tables.app_ids.progress(log.state(), *id).next_offset.unwrap_or(Offset::ZERO)
                };
                next(&tables.events).min(next(&tables.avg_speed)) >= *end
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

#[cfg(test)]
mod tests;
