//! The one table of keys: the name, kind, default and documentation of each.
//!
//! `lakehouse.toml` is this table written out, which a test checks: what is added here must be added
//! there. [`KEYS`] are the keys with fixed names, [`FAMILIES`] those whose last part the user chooses.

mod nearest;
mod rules;
mod table;

pub use nearest::nearest;
pub use table::{CAMERA_LIMITS, FAMILIES, KAFKA_PROPERTIES, KEYS, SECTIONS, STORAGE_OPTIONS};

use super::kind::Kind;

/// A section of the file, and what it is about.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The first part of its keys.
    pub name: &'static str,
    /// What it is about, for people.
    pub doc: &'static str,
}

/// A key with a fixed name.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The dotted name.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// The value without any given, as text; `None` if there is none.
    pub default: Option<&'static str>,
    /// A good value, to show.
    pub example: &'static str,
    /// What it means, for people.
    pub doc: &'static str,
}

impl Key {
    /// What to try in place of a bad value.
    pub fn remedy(&self) -> String {
        format!("try {} = {}", self.name, self.kind.quoted(self.example))
    }
}

/// Keys that share all but their last part, which the user chooses.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// What they begin with, the last dot included.
    pub prefix: &'static str,
    /// What their values must be.
    pub kind: Kind,
    /// Some of them, with good values.
    pub examples: &'static [(&'static str, &'static str)],
    /// What they mean, for people.
    pub doc: &'static str,
}

impl Family {
    /// What to try in place of a bad value of the key that ends with `name`.
    pub fn remedy(&self, name: &str) -> String {
        let same = self.examples.iter().find(|(example, _)| *example == name);
        let (_, value) = same.unwrap_or(&self.examples[0]);
        format!("try {}{name} = {}", self.prefix, self.kind.quoted(value))
    }
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether the table holds `name`, by itself or in a family.
pub fn is_known(name: &str) -> bool {
    find(name).is_some() || FAMILIES.iter().any(|family| name.starts_with(family.prefix))
}

/// Whether known keys begin with `name` and a dot.
pub fn is_section(name: &str) -> bool {
    let within = |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    KEYS.iter().any(|key| within(key.name)) || FAMILIES.iter().any(|family| within(family.prefix))
}
