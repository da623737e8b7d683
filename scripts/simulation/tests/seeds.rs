//! Some seeds from end to end, the same seed twice, and seeds that have found something.
#![allow(clippy::unwrap_used)]

use simulation::sweep::{Sweep, run_seed};

/// Seeds that showed a defect of the product, with what it was. What a seed stands for changes with the simulation;
/// each defect has a test of its own beside the code concerned, too.
const HAVE_FOUND: [(u64, &str); 1] = [(
    20,
    "what Kafka had was asked before the tables were read, and passed for a truncated topic",
)];

fn assert_clean(seed: u64, about: &str) {
    let problems = run_seed(seed, false).unwrap().problems;
    assert!(problems.is_empty(), "seed {seed} ({about}): {problems:#?}");
}

#[test]
fn seeds_of_every_scenario_end_as_the_contract_says() {
    (1..=14).for_each(|seed| assert_clean(seed, "any"));
}

#[test]
fn seeds_that_have_found_something_are_clean() {
    HAVE_FOUND.iter().for_each(|(seed, about)| assert_clean(*seed, about));
}

#[test]
fn a_seed_is_the_same_run_every_time_however_many_run_at_once() {
    let hashes = |jobs| {
        let mut hashes = Vec::new();
        let sweep = Sweep { first: 100, seeds: 8, jobs, trace: false, keep_going: true };
        sweep.run(|report| hashes.push((report.seed, report.hash))).unwrap();
        hashes.sort_unstable();
        hashes
    };
    assert_eq!(hashes(1), hashes(4));
}
