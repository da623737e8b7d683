//! What the four tables hold of a partition, as far as it decides over where and how it goes on.

use lake_delta::{Lake, LakeError, TableLog};
use lake_model::resume::{self, Reached, ResumeFacts};
use lake_model::{KafkaPartition, LeaderEpoch, Offset};
use lake_tables::txn::{CutBelowLanded, PartitionProgress};

use super::covered::Covered;
use crate::landing::Landed;
use crate::source::{AssignedPartition, Truncation};
use crate::tables::Tables;
use crate::truncation;

/// What the tables hold of a partition.
pub(super) struct Held {
    partition: KafkaPartition,
    pub(super) events: PartitionProgress,
    pub(super) averages: PartitionProgress,
    covered: Covered,
    /// How far each of the four tables reaches in a log of which no accepted cut is known that left it there.
    reached: Vec<Reached>,
}

impl Held {
    /// Reads what `tables` hold of `partition`.
    pub(super) async fn read(
        partition: KafkaPartition,
        tables: &Tables,
        lake: &Lake,
    ) -> Result<Held, LakeError> {
        let of = |log: &TableLog| tables.app_ids.progress(log.state(), partition);
        let (events, averages) = (of(&tables.events), of(&tables.avg_speed));
        let from = lesser(events, averages).next_offset.unwrap_or(Offset::ZERO);
        let covered = Covered::from(from, partition, tables, lake).await?;
        let cut = truncation::newest(&tables.events, &tables.app_ids, partition);
        let is_left = |has_left: fn(&CutBelowLanded, Offset) -> bool, held: &Reached| {
            cut.is_some_and(|accepted| has_left(&accepted.cut, held.next))
        };
        let beside = covered.reached(partition, tables);
        let beside = beside.filter(|held| !is_left(CutBelowLanded::has_left_covered_to, held));
        let averaged = reached(averages);
        let averaged = averaged.filter(|held| !is_left(CutBelowLanded::has_left_averages_at, held));
        let reached = reached(events).into_iter().chain(averaged).chain(beside).collect();
        Ok(Held { partition, events, averages, covered, reached })
    }

    /// The progress that a replay begins at.
    pub(super) fn stored(&self) -> PartitionProgress {
        lesser(self.events, self.averages)
    }

    /// What is to be known for the decision where it begins; `is_cut` if Kafka found a cut below what a table holds.
    pub(super) fn facts(
        &self,
        assigned: AssignedPartition,
        is_cut: bool,
        is_accepted: bool,
        accept_loss: bool,
    ) -> ResumeFacts {
        let next = [self.events, self.averages].map(|progress| self.at_least_begun(progress));
        let furthest = resume::furthest(self.of_current_log());
        ResumeFacts {
            stored: next[0].zip(next[1]).map(|(events, averages)| events.min(averages)),
            furthest: furthest.map(|held| held.next),
            low: assigned.low,
            high: assigned.high,
            is_validated: is_accepted || furthest.is_some_and(|held| held.leader_epoch.is_some()),
            is_cut,
            accept_loss,
        }
    }

    /// The next offset of a table, or where consuming began, if that is known.
    fn at_least_begun(&self, progress: PartitionProgress) -> Option<Offset> {
        let begun = || self.covered.begun.or(self.events.next_offset.map(|_| Offset::ZERO));
        progress.next_offset.or_else(begun)
    }

    /// What `cut` leaves to be accepted, if it is below what a table holds.
    pub(super) fn below_landed(&self, cut: Truncation) -> Option<CutBelowLanded> {
        if !self.of_current_log().any(|held| cut.is_below(held)) {
            return None;
        }
        let position = self.at_least_begun(self.events).unwrap_or(Offset::ZERO);
        let averages = self.averages.next_offset;
        Some(CutBelowLanded {
            partition: self.partition,
            end: cut.end,
            position,
            covered_to: self.covered.end(position),
            averaged_to: averages.map_or(position, |next| next.max(position)),
        })
    }

    /// The offsets that tables end before, each with an epoch that no record before it exceeds in the log that was consumed.
    pub(super) fn held_under(&self) -> impl Iterator<Item = (Offset, LeaderEpoch)> {
        self.of_current_log().filter_map(|held| Some((held.next, held.leader_epoch?)))
    }

    fn of_current_log(&self) -> impl Iterator<Item = Reached> {
        resume::of_current_log(&self.reached)
    }

    /// The same for whoever lands what comes.
    pub(super) fn into_landed(self, tables: &Tables) -> Landed {
        let next =
            |log: &TableLog| tables.app_ids.progress(log.state(), self.partition).next_offset;
        Landed {
            events: self.events.next_offset,
            dead_letters: next(&tables.dead_letters),
            offset_gaps: next(&tables.offset_gaps),
            covered: self.covered.offsets,
        }
    }
}

fn reached(progress: PartitionProgress) -> Option<Reached> {
    let PartitionProgress { next_offset, leader_epoch, .. } = progress;
    Some(Reached { next: next_offset?, leader_epoch })
}

fn lesser(events: PartitionProgress, averages: PartitionProgress) -> PartitionProgress {
    if events.next_offset <= averages.next_offset { events } else { averages }
}
