//! Cuts of Kafka's log below what is landed, on record in `events` once they were accepted.
//!
//! What was landed stays: its offsets are covered. New records under these offsets are never read, and no row can say so, since
//! every offset is in the tables once. So the log of `events` keeps, by partition and counted from 1, each cut that a setting
//! accepted, for as long as the table lives. The newest one also says that going on at its position was accepted already.

use lake_model::{KafkaPartition, Offset, Timestamp};

use super::AppIds;
use lake_delta::TableState;

/// A cut of Kafka's log below what is landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutBelowLanded {
    /// The partition.
    pub partition: KafkaPartition,
    /// The first offset that the new log has other records under, or none: where the cut was, as far as Kafka says.
    pub end: Option<Offset>,
    /// The next offset of `events`, at which consuming can go on: records below it that Kafka has anew are not read.
    pub position: Offset,
    /// Where the offsets end that `dead_letters` or `offset_gaps` cover, or `position`, which is never beyond it: records
    /// that Kafka has anew are not read under those of them, either, that lie between the two.
    pub covered_to: Offset,
    /// The next offset of `avg_speed`, or `position` if that is not beyond it: provisional rows count what the log had between the
    /// two before it was cut, which never lands.
    pub averaged_to: Offset,
}

impl CutBelowLanded {
    /// Whether `avg_speed` with that next offset is where the cut left it: what it has from the position on is of the log before.
    pub fn has_left_averages_at(&self, next: Offset) -> bool {
        self.position < next && next == self.averaged_to
    }

    /// Whether dead letters or gaps that end at `next` were there before the cut.
    pub fn has_left_covered_to(&self, next: Offset) -> bool {
        self.position < next && next <= self.covered_to
    }
}

/// A cut that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedTruncation {
    /// The cut, by what the tables held when it was accepted.
    pub cut: CutBelowLanded,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

impl AppIds {
    /// How many cuts of `partition` the log behind `state` has.
    pub fn truncation_count(&self, state: &TableState, partition: KafkaPartition) -> usize {
        let count = state.txn(&self.truncations(partition));
        count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
    }

    /// The transactions that put `truncation` on record as that of `number`.
    pub fn record_truncation(
        &self,
        number: usize,
        truncation: &AcceptedTruncation,
    ) -> Vec<(String, i64)> {
        let AcceptedTruncation { cut, accepted_at } = *truncation;
        let CutBelowLanded { partition, end, position, covered_to, averaged_to } = cut;
        let id = |what| self.truncation(partition, number, what);
        let mut txns = vec![
            (self.truncations(partition), i64::try_from(number).unwrap_or(i64::MAX)),
            (id("position"), position.0),
            (id("accepted_at"), accepted_at.micros()),
        ];
        txns.extend(end.map(|end| (id("end"), end.0)));
        let beyond = [("covered_to", covered_to), ("averaged_to", averaged_to)];
        let beyond = beyond.into_iter().filter(|(_, to)| *to > position);
        txns.extend(beyond.map(|(what, to)| (id(what), to.0)));
        txns
    }

    /// The cuts of `partition` that are on record in `state`, which is one of `events`, in their order.
    pub fn accepted_truncations(
        &self,
        state: &TableState,
        partition: KafkaPartition,
    ) -> Vec<AcceptedTruncation> {
        let truncation = |number| {
            let found = |what| state.txn(&self.truncation(partition, number, what));
            let position = found("position")?;
            let cut = CutBelowLanded {
                partition,
                end: found("end").map(Offset),
                position: Offset(position),
                covered_to: Offset(found("covered_to").unwrap_or(position)),
                averaged_to: Offset(found("averaged_to").unwrap_or(position)),
            };
            let accepted_at = Timestamp::from_micros(found("accepted_at")?);
            Some(AcceptedTruncation { cut, accepted_at })
        };
        (1..=self.truncation_count(state, partition)).filter_map(truncation).collect()
    }

    fn truncations(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}:truncations", self.prefix)
    }

    fn truncation(&self, partition: KafkaPartition, number: usize, what: &str) -> String {
        format!("{}:{partition}:truncation:{number}:{what}", self.prefix)
    }
}
