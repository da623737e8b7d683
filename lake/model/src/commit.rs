//! What a writer may commit for a partition, decided from what the table's log holds at the very version the
//! commit is built on.

use crate::offsets::Offset;

/// What a partition's writer finds in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFacts {
    /// The next offset that the log must hold for our work to be its continuation; none before the first.
    pub built_on: Option<Offset>,
    /// The next offset that the log holds.
    pub found: Option<Offset>,
    /// The next offset once our work is in.
    pub target: Offset,
    /// Whether the partition's watermark was set back since our work began, which judges lateness anew.
    pub was_reset: bool,
    /// Whether a day of our work has other bounds by now than our work was computed with.
    pub has_other_bounds: bool,
}

/// Whether a partition's work goes into a commit.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionDecision {
    /// It continues what the log holds, with newer offsets.
    Commit,
    /// It continues what the log holds and adds nothing to it.
    NothingNew,
    /// Another writer moved the partition, or the days: drop the work and reload from the tables.
    Fenced,
}

/// Decides for one partition. A log that moved since our work began fences it, in whichever direction it
/// moved: rows that were built on other offsets would land twice or leave a hole.
pub fn decide(facts: PartitionFacts) -> PartitionDecision {
    if facts.found != facts.built_on || facts.was_reset || facts.has_other_bounds {
        PartitionDecision::Fenced
    } else if facts.built_on.is_some_and(|next| facts.target <= next) {
        PartitionDecision::NothingNew
    } else {
        PartitionDecision::Commit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offsets::OffsetRange;
    use proptest::prelude::*;

    const UNDISTURBED: PartitionFacts = PartitionFacts {
        built_on: Some(Offset(7)),
        found: Some(Offset(7)),
        target: Offset(9),
        was_reset: false,
        has_other_bounds: false,
    };

    proptest! {
        #[test]
        fn whoever_commits_each_offset_enters_the_log_once(
            steps in prop::collection::vec((0_usize..3, 1_i64..5), 1..60),
        ) {
            // Three writers, each with its own memory of the log, take turns; a fenced one reloads.
            let (mut log, mut landed) = (None, Vec::new());
            let mut writers: [Option<Offset>; 3] = [None; 3];
            for (who, count) in steps {
                let built_on = writers[who];
                let start = built_on.unwrap_or(Offset::ZERO);
                let target = start.plus(count);
                match decide(PartitionFacts { built_on, found: log, target, ..UNDISTURBED }) {
                    PartitionDecision::Commit => {
                        landed.extend(OffsetRange::new(start, target).offsets());
                        log = Some(target);
                        writers[who] = log;
                    }
                    PartitionDecision::NothingNew => {}
                    PartitionDecision::Fenced => writers[who] = log,
                }
            }
            let whole = OffsetRange::new(Offset::ZERO, log.unwrap_or(Offset::ZERO));
            let expected: Vec<Offset> = whole.offsets().collect();
            prop_assert_eq!(landed, expected);
        }
    }

    #[test]
    fn a_commit_without_newer_offsets_is_none() {
        let facts = PartitionFacts { target: Offset(7), ..UNDISTURBED };
        assert_eq!(decide(facts), PartitionDecision::NothingNew);
    }

    #[test]
    fn work_from_before_a_reset_of_the_watermark_is_fenced() {
        let facts = PartitionFacts { was_reset: true, ..UNDISTURBED };
        assert_eq!(decide(facts), PartitionDecision::Fenced);
        assert_eq!(decide(UNDISTURBED), PartitionDecision::Commit);
    }

    #[test]
    fn work_of_days_that_have_other_bounds_by_now_is_fenced() {
        let facts = PartitionFacts { has_other_bounds: true, ..UNDISTURBED };
        assert_eq!(decide(facts), PartitionDecision::Fenced);
    }
}
