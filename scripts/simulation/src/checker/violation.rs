//! What the checker finds: which rule is broken, where, and how.

use std::fmt;

/// A rule of docs/contract.md that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, by its number in the contract or in words.
    pub rule: &'static str,
    /// The table.
    pub table: &'static str,
    /// The version of the table, if it is one version's.
    pub version: Option<i64>,
    /// The partition, day, camera, window or file.
    pub place: String,
    /// What must be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Violation {
    /// A violation in a version of a table.
    pub(super) fn at(
        rule: &'static str,
        table: &'static str,
        version: i64,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Violation {
        Violation {
            rule,
            table,
            version: Some(version),
            place: place.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// A violation in a table at the run's end.
    pub(super) fn at_the_end(
        rule: &'static str,
        table: &'static str,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Violation {
        Violation { version: None, ..Violation::at(rule, table, 0, place, expected, found) }
    }

    /// Something that can't be read.
    pub(super) fn unreadable(
        table: &'static str,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) -> Box<Violation> {
        Box::new(Violation::at_the_end("readable", table, place, "readable contents", problem))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}", self.rule, self.table)?;
        if let Some(version) = self.version {
            write!(f, " version {version}")?;
        }
        write!(f, ", {}: expected {}, found {}", self.place, self.expected, self.found)
    }
}
