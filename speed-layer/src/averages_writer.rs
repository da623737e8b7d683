//! Committing provisional averages: the groups of windows that changed, each as one file in place of the last.
//!
//! # Consistency
//! A partition's rows count exactly the events before the offset that is committed with them. A day that the batch has
//! made final is the batch's alone: its windows are dropped, before and after the commit.
//!
//! # Crash consistency
//! A group stays marked as changed until a commit has its file.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use lake_delta::{DataFile, Lake, LakeError, TableState, data_file};
use lake_model::{Day, KafkaPartition, Lateness};
use lake_tables::file_kind::{GroupWindows, ProvisionalGroup};
use lake_tables::{Table, avg_speed};

use crate::committer::Committer;
use crate::ownership::commit_owned;
use crate::partition::Partition;
use crate::partition_set::PartitionSet;
use crate::publish::{TableWork, is_final};

/// Commits the windows of partitions.
#[derive(Clone, Debug)]
pub struct AveragesWriter {
    lateness: Lateness,
    concurrent_files: usize,
}

impl AveragesWriter {
    /// Windows close as `lateness` says; so many files are under way at once.
    pub fn new(lateness: Lateness, concurrent_files: usize) -> AveragesWriter {
        AveragesWriter { lateness, concurrent_files }
    }

    /// Commits the windows that changed, or, where `offsets_alone`, offsets that are ahead without any too. Returns the
    /// partitions that another writer moved, which are to be loaded anew; `None` if there was nothing to commit.
    ///
    /// # Errors
    /// A store that fails. What no commit has stays in the partitions.
    pub async fn commit(
        &self,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
        offsets_alone: bool,
    ) -> Result<Option<BTreeSet<KafkaPartition>>, LakeError> {
        forget_final_days(partitions, committer.tables().avg_speed.state());
        let has_changed = partitions.iter().any(|partition| partition.provisional.is_dirty());
        if !(has_changed || (offsets_alone && partitions.is_ahead())) {
            return Ok(None);
        }
        let mut files = self.write_groups(committer.lake(), partitions).await?;
        let commits = partitions.iter().filter(|partition| has_news(partition)).map(|partition| {
            let files = files.remove(&partition.id()).unwrap_or_default();
            partition.commit_to(Table::AvgSpeed, partition.progress(), files)
        });
        let work = TableWork::of(commits.collect());
        let published = commit_owned(committer, partitions, Table::AvgSpeed, &work).await?;
        for (partition, next) in partitions.committed(&work, &published) {
            partition.avg_speed_offset = next;
            partition.provisional.written(partition.clock.earliest(), self.lateness);
        }
        for partition in partitions.iter_mut() {
            published.final_days.iter().for_each(|day| partition.provisional.forget(*day));
        }
        Ok(Some(published.fenced))
    }

    /// Writes the groups of all partitions that changed. While some are uploaded the next is encoded, whosever it is.
    async fn write_groups(
        &self,
        lake: &Lake,
        partitions: &PartitionSet,
    ) -> Result<BTreeMap<KafkaPartition, Vec<(ProvisionalGroup, DataFile)>>, LakeError> {
        let changed = partitions.iter().filter(|partition| has_news(partition));
        let groups = changed.flat_map(|partition| {
            partition.provisional.dirty().into_iter().map(move |key| (partition, key))
        });
        let writes = groups.map(|(partition, key)| write_group(lake, partition, key));
        let mut written = stream::iter(writes).buffered(self.concurrent_files);
        let mut files: BTreeMap<KafkaPartition, Vec<_>> = BTreeMap::new();
        while let Some((group, file)) = written.try_next().await? {
            files.entry(group.kafka_partition).or_default().push((group, file));
        }
        Ok(files)
    }
}

/// Whether the averages of a partition are behind what was received of it.
fn has_news(partition: &Partition) -> bool {
    partition.avg_speed_offset < partition.progress().next_offset && partition.is_ahead()
}

async fn write_group(
    lake: &Lake,
    partition: &Partition,
    key: (Day, GroupWindows),
) -> Result<(ProvisionalGroup, DataFile), LakeError> {
    let (day, windows) = key;
    let rows = partition.provisional.rows(key, partition.id(), lake.now());
    let group = ProvisionalGroup { day, kafka_partition: partition.id(), windows };
    let new = group.new_file(lake.unique_id());
    let batch = avg_speed::batch(&rows);
    let file = data_file::write(lake, Table::AvgSpeed, new, &batch).await?;
    Ok((group, file))
}

/// A day that the batch has made final is the batch's alone.
fn forget_final_days(partitions: &mut PartitionSet, avg_speed: &TableState) {
    for partition in partitions.iter_mut() {
        let mut days: Vec<Day> =
            partition.provisional.dirty().into_iter().map(|(day, _)| day).collect();
        days.dedup();
        for day in days.into_iter().filter(|day| is_final(avg_speed, *day)) {
            partition.provisional.forget(day);
        }
    }
}

#[cfg(test)]
mod tests;
