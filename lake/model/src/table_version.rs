//! The versions of Delta tables, told apart from the other numbers that stand beside them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of a Delta table: the number of its log's entry, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableVersion(pub i64);

impl TableVersion {
    /// The version that creates the table.
    pub const FIRST: TableVersion = TableVersion(0);
    /// What a table that has no version yet stands at.
    pub const BEFORE_FIRST: TableVersion = TableVersion(-1);

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> TableVersion {
        TableVersion(self.0 + 1)
    }
}

impl fmt::Display for TableVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_follows_what_a_table_without_one_stands_at() {
        assert_eq!(TableVersion::BEFORE_FIRST.next(), TableVersion::FIRST);
        assert_eq!(TableVersion::FIRST.to_string(), "0");
    }
}
