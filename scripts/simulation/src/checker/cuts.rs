//! Cuts of Kafka's log by unclean elections: a loss of what is landed is on record, once, where a setting accepts it.
//!
//! What the tables hold under an offset that was cut off is of the log before, up to the position on record, and of the
//! log after it from there on, but for what dead letters and gaps covered by then; without a record everything is of the log
//! after. `expected` builds on that, and `landing` finds whatever is landed otherwise.

use std::collections::BTreeMap;

use super::log::Log;
use super::violation::Violation;
use super::{Case, EVENTS};
use crate::truth::{AcceptedCut, TruePartition, Truth};

/// The cut of a partition that is on record as accepted.
pub(super) fn accepted(truth: &Truth, partition: i32) -> Option<AcceptedCut> {
    truth.accepted_cuts.iter().find(|cut| cut.partition == partition).copied()
}

pub(super) fn check(case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut recorded: BTreeMap<i32, AcceptedCut> = BTreeMap::new();
    for accepted in &case.truth.accepted_cuts {
        let log = case.truth.partitions.get(&accepted.partition);
        let problem = if recorded.insert(accepted.partition, *accepted).is_some() {
            Some("a second record of the same cut".to_owned())
        } else {
            log.and_then(|log| problem_of(case, log, accepted))
        };
        if let Some(problem) = problem {
            let place = format!("partition {}", accepted.partition);
            let expected = "one record of a cut below what is landed, which a setting accepts";
            found.push(Violation::at_the_end("losses", EVENTS, place, expected, problem));
        }
    }
    found
}

fn problem_of(case: &Case<'_>, log: &TruePartition, accepted: &AcceptedCut) -> Option<String> {
    let Some(cut) = log.cut.as_ref().filter(|cut| cut.at_us <= accepted.at_us) else {
        return Some(format!("{accepted:?}, and no cut"));
    };
    if case.truth.accepts_loss_since_us.is_none_or(|since_us| accepted.at_us < since_us) {
        return Some(format!("{accepted:?}, which no setting accepts"));
    }
    let next = |log: &Log| next_at(case, log, accepted).unwrap_or(0);
    let ahead = case.landed.ahead_of(accepted).map(|offset| offset + 1).max();
    let covered_to = ahead.unwrap_or(0).max(accepted.position);
    if accepted.covered_to != covered_to {
        return Some(format!("{accepted:?}, and offsets are covered up to {covered_to}"));
    }
    let landed = next(&case.events).max(next(&case.avg_speed)).max(ahead.unwrap_or(0));
    (landed <= cut.offset).then(|| format!("a cut at {}, and {landed} is landed", cut.offset))
}

/// The next offset of the partition in a table when the cut was accepted.
fn next_at(case: &Case<'_>, log: &Log, accepted: &AcceptedCut) -> Option<i64> {
    let version = log.newest_before(accepted.sequence);
    log.state_at(version).txns.get(&case.app_id(accepted.partition)).copied()
}

/// The offsets of a partition that `avg_speed` may have counted by either log, or not at all: from where it or the cut was,
/// whichever is less, up to where the log before ended.
pub(super) fn doubtful(case: &Case<'_>, partition: i32) -> Option<std::ops::Range<i64>> {
    let accepted = accepted(case.truth, partition)?;
    let cut = case.truth.partitions.get(&partition)?.cut.as_ref()?;
    let averaged = next_at(case, &case.avg_speed, &accepted).unwrap_or(0);
    Some(averaged.min(cut.offset)..cut.stable_end.max(accepted.position))
}
