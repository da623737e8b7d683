//! What a sweep prints: progress, seeds that are not clean with the command that replays them, and a summary.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::sweep::SeedReport;

/// Problems of a seed that are printed.
const MAX_PROBLEMS: usize = 20;

/// What came of the seeds so far.
#[derive(Debug, Default)]
pub struct Summary {
    seeds: u64,
    failed: Vec<u64>,
    counts: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Takes what came of a seed.
    pub fn take(&mut self, report: &SeedReport) {
        self.seeds += 1;
        if !report.problems.is_empty() {
            self.failed.push(report.seed);
        }
        for (what, count) in &report.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// Seeds so far.
    pub fn seeds(&self) -> u64 {
        self.seeds
    }

    /// Whether every seed is clean.
    pub fn is_clean(&self) -> bool {
        self.failed.is_empty()
    }

    /// The summary, after all that time.
    pub fn after(&self, took: Duration) -> impl fmt::Display + '_ {
        Finished { summary: self, took }
    }
}

struct Finished<'a> {
    summary: &'a Summary,
    took: Duration,
}

impl fmt::Display for Finished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finished { summary, took } = self;
        for (what, count) in &summary.counts {
            writeln!(f, "{count:>10}  {what}")?;
        }
        let per_seed = took.as_secs_f64() / summary.seeds.max(1) as f64;
        writeln!(
            f,
            "{} seeds in {:.0} s ({per_seed:.2} s each), {} not clean",
            summary.seeds,
            took.as_secs_f64(),
            summary.failed.len()
        )?;
        for seed in &summary.failed {
            writeln!(f, "seed {seed} is not clean")?;
        }
        Ok(())
    }
}

/// A seed that is not clean, with the command that replays it.
pub fn failure(report: &SeedReport) -> String {
    let mut text = format!("seed {} is not clean:\n", report.seed);
    for problem in report.problems.iter().take(MAX_PROBLEMS) {
        text.push_str(&format!("  {problem}\n"));
    }
    let more = report.problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    text.push_str(&format!(
        "replay: scripts/simulate.sh --seeds 1 --first {} --trace",
        report.seed
    ));
    text
}
