//! What is given becomes settings, or an error that helps.

#![allow(clippy::unwrap_used)]

mod definitions;
mod sources;
mod unusable;

use super::{Settings, SettingsError};

/// Settings from the text of a file, variables and flags; a relative path of the lake as it is written.
fn load(
    file: &str,
    env: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lakehouse.toml");
    std::fs::write(&path, file).unwrap();
    Settings::load_as_written(Some(&path), owned(env), &owned(flags))
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}
