//! The values that are given, by dotted key; of several values of a key the one that wins.

use std::collections::BTreeMap;

use crate::entry::Entry;

/// All that is given.
#[derive(Default)]
pub struct Given {
    /// The values by key.
    pub entries: BTreeMap<String, Entry>,
    /// The `AWS_…` variables.
    pub aws: BTreeMap<String, String>,
    /// Whether a file could not be read, so that settings must not be compared.
    pub file_failed: bool,
}

impl Given {
    /// The value given for `key`.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The keys that begin with `prefix`: what follows it, and the value.
    pub fn family<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.entries.iter().filter_map(move |(key, entry)| Some((key.strip_prefix(prefix)?, entry)))
    }
}
