//! Landing what waits: `offset_gaps`, then `dead_letters`, then `events`.
//!
//! # Consistency
//! In this order, so that a version of `events` never reaches an offset that the others don't explain. The rows of all partitions
//! are in one file for each day, since a store charges for files. When a partition turns out to be fenced, which is rare, the files
//! are written once more without its rows.
//!
//! # Crash consistency
//! Rows leave a partition's buffer only when a commit has them. Files of a commit that was not made are orphans, which
//! maintenance deletes.

mod files;

use std::collections::BTreeSet;

use lake_delta::LakeError;
use lake_model::KafkaPartition;
use lake_tables::Table;
use lake_tables::txn::PartitionProgress;

use crate::committer::Committer;
use crate::ownership::commit_owned;
use crate::partition::Partition;
use crate::partition_set::PartitionSet;
use crate::publish::{PartitionCommit, Published, SharedFile, TableWork};

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
    ) -> Result<Fenced, LakeError> {
        let has_gaps = |p: &Partition| !p.landing.gaps().is_empty();
        let write = async |committer: &Committer, with_gaps: &[&Partition]| {
            files::gaps(committer.lake(), with_gaps).await
        };
        let work = beside(Table::OffsetGaps, has_gaps, write);
        let (table, none) = (Table::OffsetGaps, Fenced::new());
        let (work, published) = commit_shared(partitions, committer, table, none, work).await?;
        for (partition, next) in partitions.committed(&work, &published) {
            partition.landing.clear_gaps(next);
        }
        Ok(published.fenced)
    }

    async fn land_dead_letters(
        &self,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
        fenced: &Fenced,
    ) -> Result<Fenced, LakeError> {
        let has_letters = |p: &Partition| !p.landing.dead_letters().is_empty();
        let write = async |committer: &Committer, with_letters: &[&Partition]| {
            files::letters(committer.lake(), committer.calendar(), with_letters).await
        };
        let work = beside(Table::DeadLetters, has_letters, write);
        let (table, fenced) = (Table::DeadLetters, fenced.clone());
        let (work, published) = commit_shared(partitions, committer, table, fenced, work).await?;
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
        fenced: &Fenced,
    ) -> Result<Fenced, LakeError> {
        let write = async |partitions: &mut PartitionSet,
                           committer: &Committer,
                           fenced: &Fenced| {
            let has_news = |p: &Partition| {
                !fenced.contains(&p.id())
                    && p.landing.landed().events < p.progress().next_offset
                    && p.is_ahead()
            };
            let with_news = partitions.iter().filter(|p| has_news(p));
            let commits =
                with_news.map(|p| p.commit_to(Table::Events, p.progress(), Vec::new())).collect();
            let with_news = partitions.iter_mut().filter(|p| has_news(p));
            let shared = files::events(committer.lake(), with_news, self.concurrent_files).await?;
            Ok(TableWork { partitions: commits, shared })
        };
        let (work, published) =
            commit_shared(partitions, committer, Table::Events, fenced.clone(), write).await?;
        let mut rows = 0;
        for (partition, next) in partitions.committed(&work, &published) {
            rows += partition.landing.rows();
            metrics::counter!("lambdalake_speed_late_events_total")
                .increment(partition.landing.late_rows());
            partition.record_landed();
            partition.landing.clear_events(next);
        }
        metrics::counter!("lambdalake_speed_events_landed_total").increment(rows);
        partitions.landed.events += rows;
        Ok(published.fenced)
    }
}

type Fenced = BTreeSet<KafkaPartition>;

/// Commits to `table` what `write` makes of all partitions but the fenced ones. Where others turn out to be fenced that share a
/// file with the rest, everything is written once more without them. Returns the work with what became of it; of the fenced
/// partitions those that are news.
async fn commit_shared(
    partitions: &mut PartitionSet,
    committer: &mut Committer,
    table: Table,
    mut fenced: Fenced,
    write: impl AsyncFn(&mut PartitionSet, &Committer, &Fenced) -> Result<TableWork, LakeError>,
) -> Result<(TableWork, Published), LakeError> {
    let mut new = Fenced::new();
    loop {
        let work = write(partitions, committer, &fenced).await?;
        let published = commit_owned(committer, partitions, table, &work).await?;
        new.extend(&published.fenced);
        if !published.must_be_rewritten {
            return Ok((work, Published { fenced: new, ..published }));
        }
        fenced.extend(&published.fenced);
    }
}

/// The work for a table beside `events`: that of the partitions of which `has_rows` holds, whose rows `write` writes.
fn beside(
    table: Table,
    has_rows: impl Fn(&Partition) -> bool,
    write: impl AsyncFn(&Committer, &[&Partition]) -> Result<Vec<SharedFile>, LakeError>,
) -> impl AsyncFn(&mut PartitionSet, &Committer, &Fenced) -> Result<TableWork, LakeError> {
    async move |partitions, committer, fenced| {
        let with_rows = partitions.iter().filter(|p| !fenced.contains(&p.id()) && has_rows(p));
        let with_rows: Vec<&Partition> = with_rows.collect();
        let commits = with_rows.iter().map(|partition| commit_beside(partition, table)).collect();
        Ok(TableWork { partitions: commits, shared: write(committer, &with_rows).await? })
    }
}

/// The commit of a partition to a table beside `events`, whose offsets need only grow with every commit: what it covers is read
/// from its rows.
fn commit_beside(partition: &Partition, table: Table) -> PartitionCommit {
    let work = partition.commit_to(table, PartitionProgress::default(), Vec::new());
    let at = partition.position();
    let next = work.built_on.map_or(at, |built_on| at.max(built_on.next()));
    let leader_epoch = partition.leader_epoch();
    let progress =
        PartitionProgress { next_offset: Some(next), leader_epoch, ..PartitionProgress::default() };
    PartitionCommit { progress, ..work }
}

#[cfg(test)]
mod tests;
