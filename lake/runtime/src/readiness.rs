//! Whether a program that stays is ready, and if not, why: what an orchestrator asks before it goes on with a new release.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The conditions that keep a program from being ready. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// Sets why `condition` keeps the program from being ready, or that it does not.
    pub fn set(&self, condition: &'static str, problem: Option<String>) {
        let mut problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => problems.insert(condition, problem),
            None => problems.remove(condition),
        };
    }

    /// Why the program is not ready, a line for each condition; `None` if it is.
    pub fn problem(&self) -> Option<String> {
        let problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = problems.iter().map(|(condition, problem)| format!("{condition}: {problem}\n"));
        (!problems.is_empty()).then(|| lines.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ready_once_no_condition_is_against_it() {
        let readiness = Readiness::default();
        assert_eq!(readiness.problem(), None);
        let seen = readiness.clone();
        readiness.set("start", Some("waiting for Kafka".to_owned()));
        readiness.set("dead letters", Some("all of them".to_owned()));
        let both = "dead letters: all of them\nstart: waiting for Kafka\n";
        assert_eq!(seen.problem().as_deref(), Some(both));
        readiness.set("start", None);
        assert_eq!(seen.problem().as_deref(), Some("dead letters: all of them\n"));
        readiness.set("dead letters", None);
        assert_eq!(seen.problem(), None);
    }
}
