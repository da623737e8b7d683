//! Single decisions, and what writers of one partition make of them in any order.

mod owners;

use super::*;
use crate::offsets::OffsetRange;
use proptest::prelude::*;

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
            match decide(PartitionFacts { built_on, found: log, ..continued(target) }) {
                PartitionDecision::Commit => {
                    landed.extend(OffsetRange::new(start, target).offsets());
                    log = Some(target);
                    writers[who] = log;
                }
                PartitionDecision::NothingNew | PartitionDecision::Claim => {}
                PartitionDecision::Fenced => writers[who] = log,
            }
        }
        let whole = OffsetRange::new(Offset::ZERO, log.unwrap_or(Offset::ZERO));
        let expected: Vec<Offset> = whole.offsets().collect();
        prop_assert_eq!(landed, expected);
    }
}

/// Work up to `target` on a log that stands where the work began.
fn continued(target: Offset) -> PartitionFacts {
    let (built_on, found) = (Some(Offset(7)), Some(Offset(7)));
    let (owner, found_owner) = (OwnerClaim::default(), OwnerEpoch::default());
    PartitionFacts {
        built_on,
        found,
        target,
        owner,
        found_owner,
        was_reset: false,
        has_other_bounds: false,
        may_be_vacuumed: false,
    }
}

#[test]
fn a_commit_without_newer_offsets_is_none() {
    assert_eq!(decide(continued(Offset(7))), PartitionDecision::NothingNew);
}

#[test]
fn work_whose_files_may_be_gone_is_fenced() {
    let facts = PartitionFacts { may_be_vacuumed: true, ..continued(Offset(9)) };
    assert_eq!(decide(facts), PartitionDecision::Fenced);
}

#[test]
fn work_from_before_a_reset_of_the_watermark_is_fenced() {
    let facts = PartitionFacts { was_reset: true, ..continued(Offset(9)) };
    assert_eq!(decide(facts), PartitionDecision::Fenced);
    assert_eq!(decide(continued(Offset(9))), PartitionDecision::Commit);
}

#[test]
fn work_of_days_that_have_other_bounds_by_now_is_fenced() {
    let facts = PartitionFacts { has_other_bounds: true, ..continued(Offset(9)) };
    assert_eq!(decide(facts), PartitionDecision::Fenced);
}

#[test]
fn a_partition_that_another_has_claimed_is_fenced_though_its_offset_did_not_move() {
    let owner = OwnerClaim { ours: OwnerEpoch(2), expected: OwnerEpoch(2) };
    for found in [0, 1, 3] {
        let facts =
            PartitionFacts { owner, found_owner: OwnerEpoch(found), ..continued(Offset(9)) };
        assert_eq!(decide(facts), PartitionDecision::Fenced);
    }
    let facts = PartitionFacts { owner, found_owner: OwnerEpoch(2), ..continued(Offset(9)) };
    assert_eq!(decide(facts), PartitionDecision::Commit);
}

#[test]
fn a_partition_without_news_is_claimed_once() {
    let owner = OwnerClaim { ours: OwnerEpoch(2), expected: OwnerEpoch(1) };
    let facts = PartitionFacts { owner, found_owner: OwnerEpoch(1), ..continued(Offset(7)) };
    assert_eq!(decide(facts), PartitionDecision::Claim);
    let owner = OwnerClaim { expected: OwnerEpoch(2), ..owner };
    let facts = PartitionFacts { owner, found_owner: OwnerEpoch(2), ..facts };
    assert_eq!(decide(facts), PartitionDecision::NothingNew);
}

#[test]
fn a_new_owner_is_above_the_greatest_of_all_tables() {
    let epochs = [0, 7, 3, 0].map(OwnerEpoch);
    assert_eq!(OwnerEpoch::above(epochs), OwnerEpoch(8));
    assert_eq!(OwnerEpoch::above([OwnerEpoch::default(); 4]), OwnerEpoch(1));
}
