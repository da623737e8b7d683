//! Committing provisional averages: the groups of windows that changed, each as one file in place of the last.

use futures::future::try_join_all;
use lake_delta::{DataFile, LakeError, data_file};
use lake_model::Day;
use lake_tables::file_kind::{GroupWindows, ProvisionalGroup};
use lake_tables::{Table, avg_speed};

use super::{Engine, EngineError};
use crate::partition::Partition;
use crate::publish::{Work, is_final};
use crate::source::Source;

/// Files that are uploaded at once.
pub(super) const CONCURRENT_FILES: usize = 8;

impl<S: Source> Engine<S> {
    /// Commits the windows that changed, or, where `offsets_alone`, offsets that are ahead without any too.
    pub(super) async fn commit_averages(&mut self, offsets_alone: bool) -> Result<(), EngineError> {
        self.forget_final_days();
        let is_dirty = self.partitions.values().any(|partition| partition.provisional.is_dirty());
        let is_ahead = self.partitions.values().any(Partition::is_ahead);
        if !(is_dirty || (offsets_alone && is_ahead)) {
            return Ok(());
        }
        let mut work = Vec::new();
        for partition in self.partitions.values() {
            let progress = partition.progress();
            if partition.averaged < progress.next_offset && partition.is_ahead() {
                let files = self.write_groups(partition).await?;
                let (id, built_on) = (partition.id(), partition.averaged);
                let resets = partition.clock.resets();
                work.push(Work { partition: id, built_on, resets, progress, files });
            }
        }
        let published = self.publish_to(Table::AvgSpeed, &work).await?;
        let lateness = self.rules.lateness;
        for (partition, next) in self.committed(&work, &published) {
            partition.averaged = next;
            partition.provisional.written(partition.clock.earliest(), lateness);
        }
        self.forget_final_days();
        self.tell_freshness();
        self.reload(published.fenced).await?;
        self.tell_group();
        Ok(())
    }

    async fn write_groups(
        &self,
        partition: &Partition,
    ) -> Result<Vec<(Option<ProvisionalGroup>, DataFile)>, LakeError> {
        let mut files = Vec::new();
        for keys in partition.provisional.dirty().chunks(CONCURRENT_FILES) {
            let writes = keys.iter().map(|key| self.write_group(partition, *key));
            files.extend(try_join_all(writes).await?);
        }
        Ok(files)
    }

    async fn write_group(
        &self,
        partition: &Partition,
        key: (Day, GroupWindows),
    ) -> Result<(Option<ProvisionalGroup>, DataFile), LakeError> {
        let (day, windows) = key;
        let rows = partition.provisional.rows(key, partition.id(), self.lake.now());
        let group = ProvisionalGroup { day, kafka_partition: partition.id(), windows };
        let new = group.new_file(self.lake.unique_id());
        let batch = avg_speed::batch(&rows);
        let file = data_file::write(&self.lake, Table::AvgSpeed, new, &batch).await?;
        Ok((Some(group), file))
    }

    /// A day that the batch has made final is the batch's alone.
    fn forget_final_days(&mut self) {
        let state = self.tables.avg_speed.state();
        for partition in self.partitions.values_mut() {
            let mut days: Vec<Day> =
                partition.provisional.dirty().into_iter().map(|(day, _)| day).collect();
            days.dedup();
            for day in days.into_iter().filter(|day| is_final(state, *day)) {
                partition.provisional.forget(day);
            }
        }
    }

    fn tell_freshness(&self) {
        let newest = self.partitions.values().filter_map(Partition::newest_record).max();
        if let Some(newest) = newest {
            let age_us = self.lake.now().saturating_since(newest);
            metrics::gauge!("lambdalake_speed_freshness_seconds").set(age_us as f64 / 1e6);
        }
        let panes: usize = self.partitions.values().map(|p| p.provisional.panes()).sum();
        metrics::gauge!("lambdalake_speed_open_windows").set(panes as f64);
        let bytes: usize = self.partitions.values().map(|p| p.provisional.bytes()).sum();
        metrics::gauge!("lambdalake_speed_window_bytes").set(bytes as f64);
    }
}
