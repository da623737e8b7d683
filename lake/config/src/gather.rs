//! Gathers what is given: a file flattened to dotted keys, environment variables, and flags.
//!
//! `[kafka.properties]` with `"security.protocol"`, with `security.protocol`, or as a table of its
//! own all become the key `kafka.properties.security.protocol`. The variable
//! `LAKEHOUSE__KAFKA__PROPERTIES__SECURITY__PROTOCOL` does too: the prefix goes, `__` is a dot, and
//! letters become lower case, except in the last parts of a family that keeps case, such as a
//! camera's id.

use std::io::ErrorKind;
use std::path::Path;

use crate::entry::{Entry, Source};
use crate::error::Problems;
use crate::given::Given;
use crate::nearest::nearest;
use crate::table;

/// The file that is read when no other is named, in the current directory.
pub const DEFAULT_FILE: &str = "lakehouse.toml";

/// What the names of all our environment variables begin with.
const PREFIX: &str = "LAKEHOUSE__";
/// What the names of the object store's environment variables begin with.
const AWS_PREFIX: &str = "AWS_";

/// Gathers a file, then variables, then flags, the later ones over the earlier.
pub fn gather(
    config: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    overrides: &[(String, String)],
    problems: &mut Problems,
) -> Given {
    let mut given = Given::default();
    add_file(&mut given, config, problems);
    for (name, value) in env {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            let key = key_of_variable(rest);
            add_text(&mut given, &key, &value, Source::Environment(name));
        } else if name.starts_with(AWS_PREFIX) {
            given.aws.insert(name, value);
        }
    }
    for (key, value) in overrides {
        add_text(&mut given, key, value, Source::Flag);
    }
    given
}

/// Whether settings are read from an environment variable of this name.
pub fn is_read(name: &str) -> bool {
    name.starts_with(PREFIX) || name.starts_with(AWS_PREFIX)
}

/// Adds a problem for every key that the table does not hold.
pub fn report_unknown(given: &Given, problems: &mut Problems) {
    for (key, entry) in &given.entries {
        let empty_section = entry.value.as_table().is_some() && table::is_section(key);
        if table::is_known(key) || empty_section {
            continue;
        }
        let remedy = match nearest(key) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "remove it, or see the documented lakehouse.toml for every key".to_owned(),
        };
        problems.with_key(key, entry, "expected a known key", remedy);
    }
}

fn add_text(given: &mut Given, key: &str, value: &str, source: Source) {
    let entry = Entry::text(value, source).with_secrecy(table::is_secret(key));
    given.entries.insert(key.to_owned(), entry);
}

fn add_file(given: &mut Given, config: Option<&Path>, problems: &mut Problems) {
    let path = config.unwrap_or(Path::new(DEFAULT_FILE));
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if config.is_none() && error.kind() == ErrorKind::NotFound => return,
        Err(error) => {
            given.file_failed = true;
            let remedy = "name a readable UTF-8 file with --config, or leave --config out";
            let fault = format!("expected a configuration file: {error}");
            return problems.with_subject(format!("--config {name:?}"), fault, remedy.into());
        }
    };
    match text.parse::<toml::Table>() {
        Ok(table) => flatten(given, "", table, &Source::File(name), problems),
        Err(error) => {
            given.file_failed = true;
            let subject = format!("{name}, line {}", line_of(&text, &error));
            let fault = format!("expected TOML: {}", error.message().replace('\n', ", "));
            problems.with_subject(subject, fault, "correct that line".to_owned());
        }
    }
}

/// Adds the values of `table`, whose own key with a dot at its end is `prefix`.
fn flatten(
    given: &mut Given,
    prefix: &str,
    table: toml::Table,
    source: &Source,
    problems: &mut Problems,
) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => {
                flatten(given, &format!("{key}."), inner, source, problems);
            }
            value => {
                let is_secret = table::is_secret(&key);
                let entry = Entry { value, source: source.clone(), is_secret };
                if given.entries.contains_key(&key) {
                    let fault = "expected each key once, but it is there quoted and nested";
                    problems.with_key(&key, &entry, fault, "remove one of the two");
                }
                given.entries.insert(key, entry);
            }
        }
    }
}

/// The key of the variable `LAKEHOUSE__<rest>`.
fn key_of_variable(rest: &str) -> String {
    let dotted = rest.replace("__", ".");
    let key = dotted.to_ascii_lowercase();
    match table::family_of(&key) {
        Some((family, name)) if family.keeps_case() => {
            format!("{}{}", family.prefix(), &dotted[key.len() - name.len()..])
        }
        _ => key,
    }
}

/// The line, counted from 1, that a TOML error is about.
fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start);
    1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count()
}
