//! What makes a configuration unusable: problems, gathered while settings are read.
//!
//! A [`Problem`] is one line that names the key, its value, where it came from, what was expected
//! and what to do. [`Problems`] is the list under construction; it remembers which keys are bad, so
//! that no check that involves them reports a consequence as a second problem.

use std::collections::BTreeSet;
use std::fmt;

use crate::entry::Entry;

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    subject: String,
    fault: String,
    remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.subject, self.fault, self.remedy)
    }
}

/// All that makes a configuration unusable, one problem a line. Starting again does not help.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError {
    problems: Vec<Problem>,
}

impl SettingsError {
    /// The problems, never none.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// The problems found so far.
#[derive(Default)]
pub struct Problems {
    found: Vec<Problem>,
    keys: BTreeSet<String>,
}

impl Problems {
    /// Adds a problem with the value of `key`.
    pub fn with_key(
        &mut self,
        key: &str,
        entry: &Entry,
        fault: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.keys.insert(key.to_owned());
        let subject =
            format!("{} = {} ({})", key.escape_debug(), entry.quote_truncated(), entry.source);
        self.with_subject(subject, fault.into(), remedy.into());
    }

    /// Adds a problem that is not one of a key, such as a file that cannot be read.
    pub fn with_subject(&mut self, subject: String, fault: String, remedy: String) {
        let [subject, fault, remedy] = [subject, fault, remedy].map(on_one_line);
        self.found.push(Problem { subject, fault, remedy });
    }

    /// Whether a problem with `key` was found.
    pub fn concern(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// `settings` if there is no problem with them.
    pub fn into_result<T>(self, settings: T) -> Result<T, SettingsError> {
        if self.found.is_empty() {
            return Ok(settings);
        }
        Err(SettingsError { problems: self.found })
    }
}

/// Keys, variables and files may have any name: what would end the line or hide in it is escaped.
fn on_one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped =
        |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}
