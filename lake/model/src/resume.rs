//! Where consuming a partition begins, decided from what the tables hold and what Kafka still has.

use crate::leader_epoch::LeaderEpoch;
use crate::offsets::{Offset, OffsetRange};

/// How far a table is with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The offset after what it holds.
    pub next: Offset,
    /// The epoch that no record before that offset exceeds in the log that was consumed, if it is known.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Those of `tables` that are not left by a cut that was accepted: epochs only grow along a log, so a table that is further than
/// another with a lesser epoch is of the log before.
pub fn of_current_log(tables: &[Reached]) -> impl Iterator<Item = Reached> + '_ {
    let is_left_by_cut = |held: &Reached| {
        let mut others = tables.iter();
        held.leader_epoch.is_some()
            && others.any(|it| it.next < held.next && it.leader_epoch > held.leader_epoch)
    };
    tables.iter().filter(move |held| !is_left_by_cut(held)).copied()
}

/// The furthest of `tables`, with the epoch of one that is.
pub fn furthest(tables: impl IntoIterator<Item = Reached>) -> Option<Reached> {
    tables.into_iter().max_by_key(|held| (held.next, held.leader_epoch))
}

/// Kafka's verdict that records before a position are gone, whatever it has under their offsets now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The position that was to be continued at.
    pub position: Offset,
    /// Up to here at most the log is the one that was read, as far as Kafka knows.
    pub end: Option<Offset>,
    /// The epoch of the leader up to which the log was read before that position: the verdict is about that log alone. Where it is
    /// absent, about whatever is landed.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Truncation {
    /// Whether it is below what a table holds. What was read and had not landed may have been cut without harm, and of what was
    /// read under a later leader the verdict says nothing.
    pub fn is_below(&self, held: Reached) -> bool {
        let epochs = held.leader_epoch.zip(self.leader_epoch);
        let is_of_that_log = epochs.is_none_or(|(held_under, found_for)| held_under <= found_for);
        let is_cut = self.position <= held.next || self.end.is_some_and(|end| end < held.next);
        is_of_that_log && is_cut
    }
}

/// What is known of a partition when it is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeFacts {
    /// The lesser of the next offsets in `events` and `avg_speed`, where a table without one is where consuming began; none if
    /// nothing says where that was.
    pub stored: Option<Offset>,
    /// The furthest that any table reaches.
    pub furthest: Option<Offset>,
    /// The first offset that Kafka still has.
    pub low: Offset,
    /// The last stable offset.
    pub high: Offset,
    /// Whether the leader epoch of what is before `furthest` is known: then Kafka, or records of a later leader, are to say
    /// whether the log is the one that was consumed. Its end does not: a broker may lag behind for a while.
    pub is_validated: bool,
    /// Whether Kafka says that its log was cut below what a table holds.
    pub is_cut: bool,
    /// Whether a setting accepts that records are gone.
    pub accept_loss: bool,
}

/// Where consuming begins.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// At that offset, which continues what the tables hold.
    At(Offset),
    /// At that offset, the first that Kafka has: nothing older was ever consumed.
    First(Offset),
    /// At `at`; the offsets in `lost` are gone from Kafka, and that is accepted.
    AfterLoss {
        /// The first offset that Kafka has.
        at: Offset,
        /// The offsets that are gone.
        lost: OffsetRange,
    },
    /// Nowhere: the offset wanted is gone, and that is not accepted.
    Gone {
        /// The offset that the tables continue at.
        wanted: Offset,
        /// The first offset that Kafka has.
        available: Offset,
    },
    /// Nowhere: the log is not the one that was consumed up to `wanted`. It ends before that, or it did and has grown again.
    Truncated {
        /// The next offset of the table that is further.
        wanted: Offset,
    },
}

/// Decides where consuming begins.
pub fn decide(facts: ResumeFacts) -> Resume {
    let ResumeFacts { stored, furthest, low, high, is_validated, is_cut, accept_loss } = facts;
    let ends_before = |reached| !is_validated && reached > high.max(low);
    if let Some(wanted) = furthest.filter(|reached| is_cut || ends_before(*reached)) {
        return Resume::Truncated { wanted };
    }
    match stored {
        None => Resume::First(low),
        Some(wanted) if wanted < low && accept_loss => {
            Resume::AfterLoss { at: low, lost: OffsetRange::new(wanted, low) }
        }
        Some(wanted) if wanted < low => Resume::Gone { wanted, available: low },
        Some(wanted) => Resume::At(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: Offset = Offset(10);
    const HIGH: Offset = Offset(20);

    fn facts(stored: Option<Offset>, accept_loss: bool) -> ResumeFacts {
        ResumeFacts {
            stored,
            furthest: stored,
            low: LOW,
            high: HIGH,
            is_validated: false,
            is_cut: false,
            accept_loss,
        }
    }

    fn decided(stored: Option<Offset>, accept_loss: bool) -> Resume {
        decide(facts(stored, accept_loss))
    }

    #[test]
    fn consuming_continues_where_the_tables_end() {
        assert_eq!(decided(None, false), Resume::First(LOW));
        assert_eq!(decided(Some(LOW), false), Resume::At(LOW));
        assert_eq!(decided(Some(HIGH), false), Resume::At(HIGH));
        assert_eq!(decided(Some(LOW), true), Resume::At(LOW));
    }

    #[test]
    fn a_hole_is_never_passed_over_silently() {
        let (gone, beyond) = (Offset(9), HIGH.next());
        assert_eq!(decided(Some(gone), false), Resume::Gone { wanted: gone, available: LOW });
        let lost = OffsetRange::new(gone, LOW);
        assert_eq!(decided(Some(gone), true), Resume::AfterLoss { at: LOW, lost });
        assert_eq!(decided(Some(beyond), true), Resume::Truncated { wanted: beyond });
    }

    #[test]
    fn a_table_that_is_further_with_a_lesser_epoch_was_left_there_by_a_cut() {
        let reached =
            |next, epoch| Reached { next: Offset(next), leader_epoch: LeaderEpoch::new(epoch) };
        let current = |tables: &[Reached]| of_current_log(tables).collect::<Vec<_>>();
        let along = [reached(10, 5), reached(8, 4), reached(12, 5), reached(9, -1)];
        assert_eq!(current(&along), along);
        let (left, unknown) = (reached(20, 4), reached(15, -1));
        assert_eq!(current(&[reached(12, 6), left, unknown]), [reached(12, 6), unknown]);
        assert_eq!(furthest(along), Some(reached(12, 5)));
        assert_eq!(furthest([reached(9, 3), reached(9, -1)]), Some(reached(9, 3)));
        assert_eq!(furthest([]), None);
    }

    #[test]
    fn a_log_that_was_cut_below_the_further_table_is_another_log() {
        let shorter = ResumeFacts { furthest: Some(HIGH.next()), ..facts(Some(Offset(19)), true) };
        assert_eq!(decide(shorter), Resume::Truncated { wanted: HIGH.next() });
        let regrown = ResumeFacts { is_cut: true, ..facts(Some(Offset(19)), true) };
        assert_eq!(decide(regrown), Resume::Truncated { wanted: Offset(19) });
        let judged_by_kafka = ResumeFacts { is_validated: true, ..facts(Some(HIGH.next()), false) };
        assert_eq!(decide(judged_by_kafka), Resume::At(HIGH.next()));
        let and_refused = ResumeFacts { is_cut: true, ..judged_by_kafka };
        assert_eq!(decide(and_refused), Resume::Truncated { wanted: HIGH.next() });
        let of_one_table = ResumeFacts { stored: None, ..regrown };
        assert_eq!(decide(of_one_table), Resume::Truncated { wanted: Offset(19) });
    }

    #[test]
    fn a_verdict_counts_only_for_what_landed_of_the_log_that_it_is_about() {
        let verdict = |position, end| {
            let (position, end) = (Offset(position), Some(Offset(end)));
            Truncation { position, end, leader_epoch: LeaderEpoch::new(5) }
        };
        let held = |epoch| Reached { next: Offset(19), leader_epoch: LeaderEpoch::new(epoch) };
        assert!(verdict(19, 15).is_below(held(5)));
        // What was read and had not landed was read from a log that is gone: that of the tables is whole.
        assert!(!verdict(20, 19).is_below(held(5)));
        assert!(verdict(40, 18).is_below(held(5)), "the cut is below what has landed, too");
        assert!(!Truncation { end: None, ..verdict(20, 0) }.is_below(held(5)));
        for (epoch, counts) in [(4, true), (6, false), (-1, true)] {
            assert_eq!(verdict(19, 15).is_below(held(epoch)), counts, "{epoch}");
        }
        let about_all = Truncation { leader_epoch: None, ..verdict(19, 15) };
        assert!(about_all.is_below(held(6)));
    }
}
