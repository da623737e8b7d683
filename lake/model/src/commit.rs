//! What a writer may commit for a partition, decided from what the table's log holds at the very version the
//! commit is built on.
//!
//! A partition's records land in several tables, and one commit is of one table. The offsets in a table fence whoever
//! built on others there, but not whoever writes to a table that its successor has had nothing for: two decoders may put
//! the same record into two tables. So a partition has an [`OwnerEpoch`] in every table. Whoever takes it over claims it
//! in all of them, each at exactly what it was loaded from, before it commits the first of its work to any: then nobody
//! has written since to what the work was built on, and nobody who owned the partition before writes again.

use crate::offsets::Offset;

/// How often a partition was taken over, as a table holds it: 0 before the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerEpoch(pub i64);

impl OwnerEpoch {
    /// The epoch of whoever takes a partition over that the tables hold in these epochs.
    pub fn above(held: impl IntoIterator<Item = OwnerEpoch>) -> OwnerEpoch {
        OwnerEpoch(held.into_iter().max().unwrap_or_default().0.saturating_add(1))
    }
}

/// Whose a partition is to be in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerClaim {
    /// Our epoch.
    pub ours: OwnerEpoch,
    /// The epoch that the table must hold: ours once it is claimed there, the one that was loaded before that.
    pub expected: OwnerEpoch,
}

impl OwnerClaim {
    /// Whether the table holds our epoch, as far as we know.
    pub fn is_made(self) -> bool {
        self.expected == self.ours
    }
}

/// What a partition's writer finds in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFacts {
    /// The next offset that the log must hold for our work to be its continuation; none before the first.
    pub built_on: Option<Offset>,
    /// The next offset that the log holds.
    pub found: Option<Offset>,
    /// The next offset once our work is in.
    pub target: Offset,
    /// Whose the partition is to be.
    pub owner: OwnerClaim,
    /// Whose it is by the log.
    pub found_owner: OwnerEpoch,
    /// Whether the partition's watermark was set back since our work began, which judges lateness anew.
    pub was_reset: bool,
    /// Whether a day of our work has other bounds by now than our work was computed with.
    pub has_other_bounds: bool,
    /// Whether vacuum may have deleted files of the work.
    pub may_be_vacuumed: bool,
}

/// Whether a partition's work goes into a commit.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionDecision {
    /// It continues what the log holds, with newer offsets.
    Commit,
    /// It continues what the log holds and adds nothing to it.
    NothingNew,
    /// It adds nothing either, but the partition becomes ours.
    Claim,
    /// Another writer moved the partition, or the days, or files of the work may be gone: drop the work and reload from the
    /// tables.
    Fenced,
}

/// Decides for one partition. A log that moved since our work began fences it, in whichever direction it
/// moved: rows that were built on other offsets would land twice or leave a hole. A log in which another has claimed the
/// partition fences it too. So do days that have other bounds by now, and vacuum, where the files of the work are so old
/// that it may have deleted them.
pub fn decide(facts: PartitionFacts) -> PartitionDecision {
    let has_moved = facts.found != facts.built_on || facts.found_owner != facts.owner.expected;
    if has_moved || facts.was_reset || facts.has_other_bounds || facts.may_be_vacuumed {
        PartitionDecision::Fenced
    } else if facts.built_on.is_none_or(|next| facts.target > next) {
        PartitionDecision::Commit
    } else if facts.owner.is_made() {
        PartitionDecision::NothingNew
    } else {
        PartitionDecision::Claim
    }
}

#[cfg(test)]
mod tests;
