//! Landing what waits: `offset_gaps`, then `dead_letters`, then `events`.
//!
//! # Consistency
//! In this order, so that a version of `events` never reaches an offset that the others don't explain. Each
//! partition's rows are in files of their own, so that a fenced partition can be left out.
//!
//! # Crash consistency
//! Rows leave a partition's buffer only when a commit has them. Files of a commit that was not made are orphans, which
//! maintenance deletes.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use lake_delta::{DataFile, Lake, LakeError, data_file};
use lake_model::{Day, KafkaPartition};
use lake_tables::file_kind;
use lake_tables::file_kind::ProvisionalGroup;
use lake_tables::offset_gaps::{self, OffsetGap};
use lake_tables::txn::PartitionProgress;
use lake_tables::{Table, dead_letters};

use crate::committer::Committer;
use crate::ownership::commit_owned;
use crate::partition::Partition;
use crate::partition_set::PartitionSet;
use crate::publish::PartitionCommit;

/// Lands the rows of partitions.
#[derive(Clone, Debug)]
pub struct Lander {
    concurrent_files: usize,
}

impl Lander {
    /// Lands rows with so many files under way at once.
    pub fn new(concurrent_files: usize) -> Lander {
        Lander { concurrent_files }
    }

    /// Whether there is anything to commit: rows, or, where `offsets_alone`, offsets that are ahead without rows.
    pub fn is_due(&self, partitions: &PartitionSet, offsets_alone: bool) -> bool {
        let has_rows = partitions.iter().any(|partition| !partition.landing.is_empty());
        has_rows || (offsets_alone && partitions.is_ahead())
    }

    /// Commits the rows that wait and how far the partitions are. Returns the partitions that another writer moved, which
    /// are to be loaded anew.
    ///
    /// # Errors
    /// A store that fails. What no commit has stays in the partitions.
    pub async fn land(
        &self,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
    ) -> Result<BTreeSet<KafkaPartition>, LakeError> {
        let mut fenced = self.land_beside_events(partitions, committer).await?;
        fenced.extend(self.land_events(partitions, committer, &fenced).await?);
        Ok(fenced)
    }

    /// Commits gaps and dead letters.
    pub(crate) async fn land_beside_events(
        &self,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
    ) -> Result<BTreeSet<KafkaPartition>, LakeError> {
        let mut fenced = self.land_gaps(partitions, committer).await?;
        fenced.extend(self.land_dead_letters(partitions, committer, &fenced).await?);
        Ok(fenced)
    }

    async fn land_gaps(
        &self,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
    ) -> Result<BTreeSet<KafkaPartition>, LakeError> {
        let mut work = Vec::new();
        let noted_at = committer.lake().now();
        for partition in partitions.iter().filter(|p| !p.landing.gaps().is_empty()) {
            let gaps: Vec<OffsetGap> = partition
                .landing
                .gaps()
                .iter()
                .map(|(range, reason)| OffsetGap {
                    kafka_partition: partition.id(),
                    range: *range,
                    reason: *reason,
                    noted_at,
                })
                .collect();
            let new = file_kind::unpartitioned(committer.lake().unique_id());
            let batch = offset_gaps::batch(&gaps);
            let file = data_file::write(committer.lake(), Table::OffsetGaps, new, &batch).await?;
            work.push(beside(partition, Table::OffsetGaps, vec![file]));
        }
        let published = commit_owned(committer, partitions, Table::OffsetGaps, &work).await?;
        for (partition, next) in partitions.committed(&work, &published) {
            partition.landing.clear_gaps(next);
        }
        Ok(published.fenced)
    }

    async fn land_dead_letters(
        &self,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
        fenced: &BTreeSet<KafkaPartition>,
    ) -> Result<BTreeSet<KafkaPartition>, LakeError> {
        let mut work = Vec::new();
        let has_letters = |p: &&Partition| !p.landing.dead_letters().is_empty();
        for partition in partitions.iter().filter(|p| !fenced.contains(&p.id())).filter(has_letters)
        {
            let mut days: BTreeMap<Day, Vec<_>> = BTreeMap::new();
            for letter in partition.landing.dead_letters() {
                let day = committer.calendar().span_at(letter.kafka_timestamp).day;
                days.entry(day).or_default().push(letter);
            }
            let mut files = Vec::new();
            for (day, letters) in days {
                let id = committer.lake().unique_id();
                let new = file_kind::landed(Table::DeadLetters, day, partition.id(), id);
                let batch = dead_letters::batch(letters);
                files.push(
                    data_file::write(committer.lake(), Table::DeadLetters, new, &batch).await?,
                );
            }
            work.push(beside(partition, Table::DeadLetters, files));
        }
        let published = commit_owned(committer, partitions, Table::DeadLetters, &work).await?;
        let mut reasons = Vec::new();
        for (partition, next) in partitions.committed(&work, &published) {
            for letter in partition.landing.dead_letters() {
                let reason = letter.reason.as_str();
                metrics::counter!("lambdalake_speed_dead_letters_total", "reason" => reason)
                    .increment(1);
                reasons.push(letter.reason);
            }
            partition.landing.clear_dead_letters(next);
        }
        for reason in reasons {
            *partitions.landed.dead.entry(reason).or_default() += 1;
        }
        Ok(published.fenced)
    }

    async fn land_events(
        &self,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
        fenced: &BTreeSet<KafkaPartition>,
    ) -> Result<BTreeSet<KafkaPartition>, LakeError> {
        let mut files = self.write_events(partitions, committer.lake(), fenced).await?;
        let mut work = Vec::new();
        for partition in partitions.iter().filter(|p| !fenced.contains(&p.id())) {
            let (id, progress) = (partition.id(), partition.progress());
            let built_on = partition.landing.landed().events;
            if built_on < progress.next_offset && partition.is_ahead() {
                let files = files.remove(&id).unwrap_or_default();
                work.push(partition.commit_to(Table::Events, progress, files));
            }
        }
        let published = commit_owned(committer, partitions, Table::Events, &work).await?;
        for (partition, next) in partitions.committed(&work, &published) {
            metrics::counter!("lambdalake_speed_late_events_total")
                .increment(partition.landing.late_rows());
            partition.record_landed();
            partition.landing.clear_events(next);
        }
        let landed = work.iter().filter(|work| !published.fenced.contains(&work.partition));
        let rows: u64 = landed.flat_map(|work| &work.files).map(|(_, file)| file.rows).sum();
        metrics::counter!("lambdalake_speed_events_landed_total").increment(rows);
        partitions.landed.events += rows;
        Ok(published.fenced)
    }

    /// Writes the rows that wait, a file for each partition and day. While one is uploaded the next is encoded.
    async fn write_events(
        &self,
        partitions: &mut PartitionSet,
        lake: &Lake,
        fenced: &BTreeSet<KafkaPartition>,
    ) -> Result<BTreeMap<KafkaPartition, Vec<(Option<ProvisionalGroup>, DataFile)>>, LakeError>
    {
        let mut writes = Vec::new();
        for partition in partitions.iter_mut().filter(|p| !fenced.contains(&p.id())) {
            let id = partition.id();
            for (day, rows) in partition.landing.days_mut() {
                let new = file_kind::landed(Table::Events, *day, id, lake.unique_id());
                let batches = rows.batches().to_vec();
                writes.push(async move {
                    let mut writer = data_file::FileWriter::new(Table::Events, new)?;
                    batches.iter().try_for_each(|batch| writer.push(batch))?;
                    Ok::<_, LakeError>((id, writer.upload(lake).await?))
                });
            }
        }
        let mut files: BTreeMap<KafkaPartition, Vec<_>> = BTreeMap::new();
        let mut written = stream::iter(writes).buffered(self.concurrent_files);
        while let Some((id, file)) = written.try_next().await? {
            files.entry(id).or_default().push((None, file));
        }
        Ok(files)
    }
}

/// The commit of a partition to a table beside `events`, whose offsets need only grow with every commit: what it covers is read
/// from its rows.
fn beside(partition: &Partition, table: Table, files: Vec<DataFile>) -> PartitionCommit {
    let files = files.into_iter().map(|file| (None, file)).collect();
    let work = partition.commit_to(table, PartitionProgress::default(), files);
    let at = partition.position();
    let next = work.built_on.map_or(at, |built_on| at.max(built_on.next()));
    let leader_epoch = partition.leader_epoch();
    let progress =
        PartitionProgress { next_offset: Some(next), leader_epoch, ..PartitionProgress::default() };
    PartitionCommit { progress, ..work }
}

#[cfg(test)]
mod tests;
