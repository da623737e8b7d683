//! The ends to stop at: whether everything before them is in the tables, by this instance or by others.

use std::collections::BTreeMap;

use super::Engine;
use crate::source::Source;

impl<S: Source> Engine<S> {
    /// Stops once the tables hold everything before these end offsets, by partition.
    #[must_use]
    pub fn until(mut self, ends: BTreeMap<i32, i64>) -> Engine<S> {
        self.ends = Some(ends);
        self
    }

    /// Whether the tables or the partitions held reach every end.
    pub(super) fn has_reached_ends(&self) -> bool {
        let Some(ends) = &self.ends else { return false };
        ends.iter().all(|(id, end)| match self.partitions.get(id) {
            Some(partition) => partition.position() >= *end,
            None => {
                let next = |log: &lake_delta::TableLog| {
                    self.tables.app_ids.progress(log.state(), *id).next_offset.unwrap_or(0)
                };
                next(&self.tables.events).min(next(&self.tables.avg_speed)) >= *end
            }
        })
    }

    /// Other instances may be what reaches the remaining ends.
    pub(super) async fn look_for_ends_elsewhere(&mut self) {
        let Some(ends) = &self.ends else { return };
        let are_ours_reached = self.partitions.values().all(|partition| {
            ends.get(&partition.id()).is_none_or(|end| partition.position() >= *end)
        });
        if are_ours_reached && let Err(error) = self.tables.refresh().await {
            tracing::warn!(%error, "the tables can't be read");
        }
    }
}
