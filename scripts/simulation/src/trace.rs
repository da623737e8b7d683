//! What happens in a run, as lines for people and as a hash that two runs of a seed must share.
//!
//! The hash is a sum over the lines with their instants, so that the order of lines at one instant does not
//! matter. Counters of what was injected and what came of it are kept beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::chance;
use crate::clock::Clock;

/// The record of a run, shared by everything in it.
#[derive(Clone)]
pub struct Trace {
    clock: Arc<Clock>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    hash: u64,
    lines: Option<Vec<String>>,
    counts: BTreeMap<&'static str, u64>,
    problems: Vec<String>,
}

impl Trace {
    /// An empty record, which keeps its lines if they are wanted.
    pub fn new(clock: &Arc<Clock>, keep_lines: bool) -> Trace {
        let shared = Shared { lines: keep_lines.then(Vec::new), ..Shared::default() };
        Trace { clock: Arc::clone(clock), shared: Arc::new(Mutex::new(shared)) }
    }

    /// Notes what happened.
    pub fn say(&self, what: &str) {
        let line = format!("{:>9.3} {what}", self.clock.elapsed_ms() as f64 / 1000.0);
        let mut shared = self.shared();
        shared.hash = shared.hash.wrapping_add(chance::hash(1, line.as_bytes()));
        if let Some(lines) = &mut shared.lines {
            lines.push(line);
        }
    }

    /// Counts one of `what`.
    pub fn count(&self, what: &'static str) {
        *self.shared().counts.entry(what).or_default() += 1;
    }

    /// Notes something that must not happen.
    pub fn problem(&self, problem: String) {
        self.say(&format!("PROBLEM {problem}"));
        self.shared().problems.push(problem);
    }

    /// What came of the run.
    pub fn finish(&self) -> Record {
        let mut shared = self.shared();
        Record {
            hash: shared.hash,
            lines: shared.lines.take().unwrap_or_default(),
            counts: std::mem::take(&mut shared.counts),
            problems: std::mem::take(&mut shared.problems),
        }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The same for every run of a seed.
    pub hash: u64,
    /// What happened, if it was to be kept.
    pub lines: Vec<String>,
    /// How often what was injected or done.
    pub counts: BTreeMap<&'static str, u64>,
    /// What must not have happened.
    pub problems: Vec<String>,
}
