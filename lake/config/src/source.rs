//! What is given: a file flattened to dotted keys, environment variables, and flags.
//!
//! `[kafka.properties]` with `"security.protocol"`, with `security.protocol`, or as a table of its
//! own all become the key `kafka.properties.security.protocol`. The variable
//! `LAKEHOUSE__KAFKA__PROPERTIES__SECURITY__PROTOCOL` does too: the prefix goes, `__` is a dot, and
//! letters become lower case, except in a camera's id, where case matters.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use super::DEFAULT_FILE;
use super::error::Problems;
use super::keys::{self, CAMERA_LIMITS};

/// What the names of all our environment variables begin with.
const PREFIX: &str = "LAKEHOUSE__";
/// What the names of the object store's environment variables begin with.
const AWS_PREFIX: &str = "AWS_";

/// Whether an environment variable of this name has a say in the settings.
pub(super) fn is_read(name: &str) -> bool {
    name.starts_with(PREFIX) || name.starts_with(AWS_PREFIX)
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Default,
    File(String),
    Environment(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("the default"),
            Source::File(path) => write!(f, "from {path}"),
            Source::Environment(name) => write!(f, "from environment variable {name}"),
            Source::Flag => f.write_str("from the command line"),
        }
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) value: toml::Value,
    pub(super) source: Source,
}

impl Entry {
    /// A value that is text whatever the kind of its key: from a variable or a flag.
    pub(super) fn text(value: &str, source: Source) -> Entry {
        Entry { value: toml::Value::String(value.to_owned()), source }
    }

    /// Whether the value is typed, so that `"5"` and `5` differ.
    pub(super) fn is_typed(&self) -> bool {
        matches!(self.source, Source::File(_))
    }
}

/// All that is given, by key; of several values of a key the one that wins.
#[derive(Default)]
pub(super) struct Given {
    entries: BTreeMap<String, Entry>,
    aws: BTreeMap<String, String>,
    file_failed: bool,
}

impl Given {
    /// Gathers a file, then variables, then flags, the later ones over the earlier.
    pub(super) fn gather(
        config: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: &[(String, String)],
        problems: &mut Problems,
    ) -> Given {
        let mut given = Given::default();
        given.add_file(config, problems);
        for (name, value) in env {
            if let Some(rest) = name.strip_prefix(PREFIX) {
                let entry = Entry::text(&value, Source::Environment(name.clone()));
                given.entries.insert(key_of_variable(rest), entry);
            } else if name.starts_with(AWS_PREFIX) {
                given.aws.insert(name, value);
            }
        }
        for (key, value) in overrides {
            given.entries.insert(key.clone(), Entry::text(value, Source::Flag));
        }
        given
    }

    /// Whether the file, if any, could be read: if not, settings must not be compared.
    pub(super) fn is_whole(&self) -> bool {
        !self.file_failed
    }

    /// The value given for `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The keys that begin with `prefix`: what follows it, and the value.
    pub(super) fn family<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.entries.iter().filter_map(move |(key, entry)| Some((key.strip_prefix(prefix)?, entry)))
    }

    /// The `AWS_…` variables.
    pub(super) fn aws(&self) -> impl Iterator<Item = (&str, &str)> {
        self.aws.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds a problem for every key that the table does not hold.
    pub(super) fn report_unknown(&self, problems: &mut Problems) {
        for (key, entry) in &self.entries {
            let empty_section = entry.value.as_table().is_some() && keys::is_section(key);
            if keys::is_known(key) || empty_section {
                continue;
            }
            let remedy = match keys::nearest(key) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "remove it, or see the documented lakehouse.toml for every key".to_owned(),
            };
            problems.with_key(key, entry, "expected a known key", remedy);
        }
    }

    fn add_file(&mut self, config: Option<&Path>, problems: &mut Problems) {
        let path = config.unwrap_or(Path::new(DEFAULT_FILE));
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if config.is_none() && error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                self.file_failed = true;
                let remedy = "name a readable UTF-8 file with --config, or leave --config out";
                let fault = format!("expected a configuration file: {error}");
                return problems.with_subject(format!("--config {name:?}"), fault, remedy.into());
            }
        };
        match text.parse::<toml::Table>() {
            Ok(table) => self.flatten("", table, &Source::File(name), problems),
            Err(error) => {
                self.file_failed = true;
                let subject = format!("{name}, line {}", line_of(&text, &error));
                let fault = format!("expected TOML: {}", error.message().replace('\n', ", "));
                problems.with_subject(subject, fault, "correct that line".to_owned());
            }
        }
    }

    /// Adds the values of `table`, whose own key with a dot at its end is `prefix`.
    fn flatten(
        &mut self,
        prefix: &str,
        table: toml::Table,
        source: &Source,
        problems: &mut Problems,
    ) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match value {
                toml::Value::Table(inner) if !inner.is_empty() => {
                    self.flatten(&format!("{key}."), inner, source, problems);
                }
                value => {
                    let entry = Entry { value, source: source.clone() };
                    if self.entries.contains_key(&key) {
                        let fault = "expected each key once, but it is there quoted and nested";
                        problems.with_key(&key, &entry, fault, "remove one of the two");
                    }
                    self.entries.insert(key, entry);
                }
            }
        }
    }
}

/// The key of the variable `LAKEHOUSE__<rest>`.
fn key_of_variable(rest: &str) -> String {
    let dotted = rest.replace("__", ".");
    let key = dotted.to_ascii_lowercase();
    match key.strip_prefix(CAMERA_LIMITS.prefix) {
        Some(camera) => format!("{}{}", CAMERA_LIMITS.prefix, &dotted[key.len() - camera.len()..]),
        None => key,
    }
}

/// The line, counted from 1, that a TOML error is about.
fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start);
    1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count()
}
