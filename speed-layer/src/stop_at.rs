//! The ends to stop at: whether everything before them is in the tables, by this instance or by others.

use std::collections::BTreeMap;

use lake_delta::TableLog;

use crate::partition_set::PartitionSet;
use crate::tables::Tables;

/// The end offsets that a run stops at, by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopAt {
    ends: BTreeMap<i32, i64>,
}

impl StopAt {
    /// Stops at these end offsets.
    pub fn new(ends: BTreeMap<i32, i64>) -> StopAt {
        StopAt { ends }
    }

    /// The end of `partition`, if the run stops at one.
    pub fn end_of(&self, partition: i32) -> Option<i64> {
        self.ends.get(&partition).copied()
    }

    /// Whether the tables or the partitions held reach every end.
    pub fn is_reached(&self, partitions: &PartitionSet, tables: &Tables) -> bool {
        self.ends.iter().all(|(id, end)| match partitions.get(*id) {
            Some(partition) => partition.position() >= *end,
            None => {
                let next = |log: &TableLog| {
                    tables.app_ids.progress(log.state(), *id).next_offset.unwrap_or(0)
                };
                next(&tables.events).min(next(&tables.avg_speed)) >= *end
            }
        })
    }

    /// Whether the partitions held reach their ends, so that only other instances can reach those that are left.
    pub fn is_reached_here(&self, partitions: &PartitionSet) -> bool {
        partitions.iter().all(|partition| {
            self.end_of(partition.id()).is_none_or(|end| partition.position() >= end)
        })
    }
}

#[cfg(test)]
mod tests;
