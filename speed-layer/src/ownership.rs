//! Owning partitions: a partition that was taken over is claimed in every table before anything of it is committed.
//!
//! An instance that loses a partition without noticing has work that is built on what it loaded. In `events` and
//! `avg_speed` the offsets fence it once its successor has committed there. In `dead_letters` and `offset_gaps` the successor
//! may have nothing to commit, and if the two decode a record differently, the record would land in two tables. So every load
//! of a partition has an owner epoch, one above the greatest of the four tables, and every commit requires that the
//! table's epoch is ours.
//!
//! # Consistency
//! A table is claimed only while it holds the epoch and the offset that were loaded. Once all four are claimed, each is as
//! it was loaded, and nobody who loaded the partition earlier commits to any of them: what
//! `dead_letters` and `offset_gaps` cover beyond `events` is what was read. Rows are committed after that only.
//!
//! # Crash consistency
//! Claims are made just before the first commit that brings news, so that an instance without news commits nothing. The
//! table of that news is claimed by the same commit. An instance that dies between its claims leaves epochs that the next
//! one is above. After an error it is open whether a claim was made: if it was, the next try finds an epoch that it does not
//! expect, and the partition is loaded anew.

use std::collections::{BTreeMap, BTreeSet};

use lake_delta::LakeError;
use lake_model::KafkaPartition;
use lake_model::commit::{OwnerClaim, OwnerEpoch};
use lake_tables::Table;

use crate::committer::Committer;
use crate::partition::Partition;
use crate::partition_set::PartitionSet;
use crate::publish::{PartitionCommit, Published, TableWork};
use crate::tables::WRITTEN;

/// Whose a partition is, by what was loaded of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership(BTreeMap<Table, OwnerClaim>);

impl Ownership {
    /// A new owner of a partition that the tables hold in these epochs.
    pub fn after(held: &BTreeMap<Table, OwnerEpoch>) -> Ownership {
        let ours = OwnerEpoch::above(held.values().copied());
        let claim = |(table, expected): (&Table, &OwnerEpoch)| {
            (*table, OwnerClaim { ours, expected: *expected })
        };
        Ownership(held.iter().map(claim).collect())
    }

    /// What a commit to `table` requires and claims.
    pub fn claim(&self, table: Table) -> OwnerClaim {
        self.0.get(&table).copied().unwrap_or_default()
    }

    /// Notes that a commit to `table` has our epoch.
    pub fn claimed(&mut self, table: Table) {
        if let Some(claim) = self.0.get_mut(&table) {
            claim.expected = claim.ours;
        }
    }
}

/// Commits `work` to `table`, after all partitions that are held are claimed in every table. Work of partitions that
/// another has claimed meanwhile is left out; they are among the fenced ones, with or without work.
///
/// # Errors
/// A store that fails; then it is open which of the commits were made.
pub async fn commit_owned(
    committer: &mut Committer,
    partitions: &mut PartitionSet,
    table: Table,
    work: &TableWork,
) -> Result<Published, LakeError> {
    let (mut work, mut fenced) = (work.clone(), BTreeSet::new());
    for other in WRITTEN.into_iter().filter(|other| *other != table) {
        if work.is_empty() {
            break;
        }
        let claims = TableWork::of(claims(partitions, other, &fenced));
        fenced.extend(commit(committer, partitions, other, &claims).await?.fenced);
        work.partitions.retain(|work| !fenced.contains(&work.partition));
    }
    let mut published = Published::default();
    if !work.is_empty() {
        let mut known = fenced.clone();
        known.extend(work.partitions.iter().map(|work| work.partition));
        work.partitions.extend(claims(partitions, table, &known));
        published = commit(committer, partitions, table, &work).await?;
    }
    published.fenced.extend(fenced);
    Ok(published)
}

/// The claims in `table` of partitions that are not claimed there yet, but of those named.
fn claims(
    partitions: &PartitionSet,
    table: Table,
    but_of: &BTreeSet<KafkaPartition>,
) -> Vec<PartitionCommit> {
    let unclaimed = |partition: &&Partition| {
        !but_of.contains(&partition.id()) && !partition.ownership.claim(table).is_made()
    };
    partitions.iter().filter(unclaimed).map(|partition| partition.claim_of(table)).collect()
}

/// Commits `work`, and notes what is claimed by that.
async fn commit(
    committer: &mut Committer,
    partitions: &mut PartitionSet,
    table: Table,
    work: &TableWork,
) -> Result<Published, LakeError> {
    let published = committer.commit(table, work).await?;
    if published.must_be_rewritten {
        return Ok(published);
    }
    let went_in = |work: &&PartitionCommit| !published.fenced.contains(&work.partition);
    for work in work.partitions.iter().filter(went_in) {
        if let Some(partition) = partitions.get_mut(work.partition) {
            partition.ownership.claimed(table);
        }
    }
    Ok(published)
}

#[cfg(test)]
mod tests;
