//! A value that was given: what it is, where it comes from, and how messages quote it.

use std::fmt;

use crate::properties::{REDACTED, is_secret};

/// Values longer than this many characters are cut in messages.
const MAX_QUOTED_CHARS: usize = 200;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
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
pub struct Entry {
    pub value: toml::Value,
    pub source: Source,
    /// Whether messages must not quote the value.
    pub is_secret: bool,
}

impl Entry {
    /// A value that is text whatever the kind of its key: a default, or from a variable or a flag.
    pub fn text(value: &str, source: Source) -> Entry {
        Entry { value: value.into(), source, is_secret: false }
    }

    /// The same value, secret or not.
    pub fn with_secrecy(self, is_secret: bool) -> Entry {
        Entry { is_secret, ..self }
    }

    /// Whether the value is typed, so that `"5"` and `5` differ.
    pub fn is_typed(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Whether the value is a table without entries: a section or a family of which nothing is set.
    pub fn is_empty_table(&self) -> bool {
        self.value.as_table().is_some_and(toml::Table::is_empty)
    }

    /// The value as the user would write it, on one line, without secrets.
    pub fn quote_truncated(&self) -> String {
        if self.is_secret {
            return REDACTED.to_owned();
        }
        let text = quote(&self.value);
        match text.char_indices().nth(MAX_QUOTED_CHARS) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// `value` as TOML has it, without secrets.
fn quote(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) if assigns_secret(text) => REDACTED.to_owned(),
        toml::Value::String(text) => format!("{:?}", without_credentials(text)),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string().to_lowercase(),
        toml::Value::Boolean(truth) => truth.to_string(),
        toml::Value::Datetime(time) => time.to_string(),
        list_or_table if names_secret(list_or_table) => REDACTED.to_owned(),
        toml::Value::Array(items) => {
            format!("[{}]", items.iter().map(quote).collect::<Vec<_>>().join(", "))
        }
        toml::Value::Table(table) => {
            let entries = table
                .iter()
                .map(|(name, value)| format!("{} = {}", name.escape_debug(), quote(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Whether a list or a table holds the name of a secret, as a key or as a text: `{name = "sasl.password", value = "…"}`.
fn names_secret(value: &toml::Value) -> bool {
    match value {
        toml::Value::String(text) => is_secret(text),
        toml::Value::Array(items) => items.iter().any(names_secret),
        toml::Value::Table(table) => {
            table.iter().any(|(name, value)| is_secret(name) || names_secret(value))
        }
        _ => false,
    }
}

/// Whether `text` gives a secret a value itself: `sasl.password=…`.
fn assigns_secret(text: &str) -> bool {
    let names = text.match_indices(['=', ':']).map(|(at, _)| text[..at].trim_end());
    let is_end = |letter: char| letter.is_whitespace() || matches!(letter, ',' | ';' | '&' | '{');
    names.filter_map(|before| before.rsplit(is_end).next()).any(is_secret)
}

/// `text` without the user and the password of an address: `https://user:password@host`.
fn without_credentials(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + "://".len());
    match text[start..].rsplit_once('@') {
        Some((before, after)) if start > 0 || before.contains(':') => {
            format!("{}{REDACTED}@{after}", &text[..start])
        }
        _ => text.to_owned(),
    }
}
