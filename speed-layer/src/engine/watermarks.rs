//! Telling how far the watermarks are ahead of the clock: one that is far ahead makes everybody's events late.

use super::Engine;
use crate::source::Source;

impl<S: Source> Engine<S> {
    /// Tells it of the partitions held.
    pub(super) fn tell_watermarks(&self) {
        let now = self.lake.now();
        for partition in self.partitions.values() {
            let max = partition.clock.now().max_event_time();
            let watermark = max.map(|max| self.rules.lateness.watermark(max));
            let ahead_us = watermark.map_or(0, |watermark| watermark.saturating_since(now).max(0));
            watermark_ahead(partition.id()).set(ahead_us as f64 / 1e6);
        }
    }

    /// Forgets partitions that are another instance's from now on.
    pub(super) fn let_go(&mut self, partitions: &[i32]) {
        self.partitions.retain(|id, _| !partitions.contains(id));
        partitions.iter().for_each(|partition| watermark_ahead(*partition).set(0.0));
    }
}

fn watermark_ahead(partition: i32) -> metrics::Gauge {
    metrics::gauge!(
        "lambdalake_speed_watermark_ahead_seconds", "partition" => partition.to_string()
    )
}
