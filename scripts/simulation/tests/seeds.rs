//! Some seeds from end to end, and the same seeds twice.
#![allow(clippy::unwrap_used)]

use simulation::sweep::{Sweep, run_seed};

fn assert_clean(seed: u64) {
    let problems = run_seed(seed, false).unwrap().problems;
    assert!(problems.is_empty(), "seed {seed}: {problems:#?}");
}

#[test]
fn seeds_of_every_scenario_end_as_the_contract_says() {
    (1..=14).for_each(assert_clean);
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
