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
        toml::Value::String(text) => format!("{text:?}"),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string().to_lowercase(),
        toml::Value::Boolean(truth) => truth.to_string(),
        toml::Value::Datetime(time) => time.to_string(),
        toml::Value::Array(items) => {
            format!("[{}]", items.iter().map(quote).collect::<Vec<_>>().join(", "))
        }
        toml::Value::Table(table) => {
            let entries = table.iter().map(|(name, value)| {
                let quoted = if is_secret(name) { REDACTED.to_owned() } else { quote(value) };
                format!("{} = {quoted}", name.escape_debug())
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}
