//! Many seeds, several at a time, each in a thread and a runtime of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::checker;
use crate::run::{self, Outcome};

/// The seeds to run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// The first.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// How many at a time.
    pub jobs: usize,
    /// Whether traces are kept.
    pub trace: bool,
    /// Whether to go on after a run that is not clean.
    pub keep_going: bool,
}

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct SeedReport {
    /// The seed.
    pub seed: u64,
    /// The same for every run of it.
    pub hash: u64,
    /// What happened, if traces are kept.
    pub trace: Vec<String>,
    /// How often what was injected or done.
    pub counts: BTreeMap<&'static str, u64>,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// Runs one seed and checks what came of it.
///
/// # Errors
/// The run's runtime can't be built.
pub fn run_seed(seed: u64, trace: bool) -> std::io::Result<SeedReport> {
    let Outcome { record, truth, history, .. } = run::run(seed, trace)?;
    let mut problems = record.problems;
    problems.extend(checker::check(&truth, &history).iter().map(ToString::to_string));
    Ok(SeedReport { seed, hash: record.hash, trace: record.lines, counts: record.counts, problems })
}

impl Sweep {
    /// Runs the seeds and hands what came of each to `tell`, in the order in which they end.
    ///
    /// # Errors
    /// A run's runtime can't be built.
    pub fn run(&self, mut tell: impl FnMut(SeedReport)) -> std::io::Result<()> {
        let next = AtomicU64::new(self.first);
        let is_over = AtomicBool::new(false);
        let (sender, reports) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                let sender = sender.clone();
                let (next, is_over) = (&next, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed - self.first >= self.seeds {
                            break;
                        }
                        if sender.send(run_seed(seed, self.trace)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for report in reports {
                let report = report?;
                if !report.problems.is_empty() && !self.keep_going {
                    is_over.store(true, Ordering::Relaxed);
                }
                tell(report);
            }
            Ok(())
        })
    }
}
