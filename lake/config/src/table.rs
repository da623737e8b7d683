//! The table of all keys, section by section, and what can be asked of it by name.

use crate::family::AnyFamily;
use crate::key::{AnyKey, Section};
use crate::properties;
use crate::sections;

/// The sections, in the order of the file.
pub static SECTIONS: [&Section; 9] = [
    &sections::pipeline::TABLE,
    &sections::event::TABLE,
    &sections::kafka::TABLE,
    &sections::lake::TABLE,
    &sections::speed::TABLE,
    &sections::batch::TABLE,
    &sections::maintain::TABLE,
    &sections::serving::TABLE,
    &sections::speed_limits::TABLE,
];

/// Every key with a fixed name.
pub fn keys() -> impl Iterator<Item = &'static dyn AnyKey> {
    SECTIONS.iter().flat_map(|section| section.keys).copied()
}

/// Every family of keys.
pub fn families() -> impl Iterator<Item = &'static dyn AnyFamily> {
    SECTIONS.iter().flat_map(|section| section.families).copied()
}

/// The family that the key is of, if any, and the last part of the key.
pub fn family_of(key: &str) -> Option<(&'static dyn AnyFamily, &str)> {
    families().find_map(|family| Some((family, key.strip_prefix(family.prefix())?)))
}

/// Whether the table holds `key`, by itself or in a family.
pub fn is_known(key: &str) -> bool {
    keys().any(|known| known.name() == key) || family_of(key).is_some()
}

/// Whether known keys begin with `name` and a dot.
pub fn is_section(name: &str) -> bool {
    let names = keys().map(|key| key.name()).chain(families().map(|family| family.prefix()));
    names.filter_map(|known| known.strip_prefix(name)).any(|rest| rest.starts_with('.'))
}

/// Whether the value of `key` must not be shown: as its family defines it, and otherwise, unknown
/// keys included, where the name suggests it.
pub fn is_secret(key: &str) -> bool {
    match family_of(key) {
        Some((family, name)) => family.is_secret(name),
        None => properties::is_secret(key),
    }
}
