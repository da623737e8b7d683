//! Keys that share all but their last part, which the user chooses.

use crate::entry::Entry;
use crate::error::Problems;
use crate::given::Given;
use crate::kind::Kind;

/// A family of keys, whose values are of type `T`.
pub struct Family<T: 'static> {
    /// What its keys begin with, the last dot included.
    pub prefix: &'static str,
    /// What they mean, for people, line by line.
    pub doc: &'static [&'static str],
    /// What its keys and values must be.
    pub rules: Rules<T>,
}

/// What the keys and values of a family must be.
pub struct Rules<T: 'static> {
    /// What a value must be.
    pub kind: &'static dyn Kind<T>,
    /// Whether a key may have this last part.
    pub check_name: fn(&str) -> Result<(), NameError>,
    /// Whether the value of the key with this last part must not be shown.
    pub is_secret: fn(&str) -> bool,
    /// Whether case matters in the last part, so that variables keep it.
    pub keeps_case: bool,
    /// Some last parts, with good values.
    pub examples: &'static [(&'static str, &'static str)],
}

/// Why a key can't have its last part. Reads after "expected".
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// It is reserved, for a reason.
    #[error("no such property, because {0}")]
    Reserved(&'static str),
    /// It is not what it should be.
    #[error("{0}")]
    Malformed(&'static str),
    /// A name that is meant is known.
    #[error("{expected}")]
    Misspelt {
        /// What it should be.
        expected: &'static str,
        /// The last part that is meant.
        meant: String,
    },
}

impl<T> Family<T> {
    /// The values that are given, by the last parts of their keys. Bad keys and values are reported
    /// and left out.
    pub fn read<C: FromIterator<(String, T)>>(&self, given: &Given, problems: &mut Problems) -> C {
        given
            .family(self.prefix)
            .filter(|(_, entry)| !entry.is_empty_table())
            .filter_map(|(name, entry)| {
                Some((name.to_owned(), self.read_one(name, entry, problems)?))
            })
            .collect()
    }

    fn read_one(&self, name: &str, entry: &Entry, problems: &mut Problems) -> Option<T> {
        let key = format!("{}{name}", self.prefix);
        if let Err(fault) = (self.rules.check_name)(name) {
            let remedy = match &fault {
                NameError::Misspelt { meant, .. } => format!("call it {}{meant}", self.prefix),
                _ => "remove it".to_owned(),
            };
            problems.with_key(&key, entry, format!("expected {fault}"), remedy);
            return None;
        }
        let value = self.rules.kind.read(entry);
        if value.is_none() {
            let fault = format!("expected {}", self.expected());
            problems.with_key(&key, entry, fault, self.remedy(name));
        }
        value
    }

    /// What to try in place of a bad value of the key that ends with `name`.
    fn remedy(&self, name: &str) -> String {
        let examples = self.rules.examples;
        let same = examples.iter().find(|(example, _)| *example == name);
        let (_, value) = same.unwrap_or(&examples[0]);
        format!("try {}{name} = {}", self.prefix, self.literal(value))
    }
}

/// A family without the type of its values.
pub trait AnyFamily: Sync {
    /// What its keys begin with, the last dot included.
    fn prefix(&self) -> &'static str;
    /// What they mean, line by line.
    fn doc(&self) -> &'static [&'static str];
    /// What a value must be, in words that follow "expected".
    fn expected(&self) -> String;
    /// Some last parts, with good values.
    fn examples(&self) -> &'static [(&'static str, &'static str)];
    /// How the file spells a value.
    fn literal(&self, text: &str) -> String;
    /// Whether the value of the key that ends with `name` must not be shown.
    fn is_secret(&self, name: &str) -> bool;
    /// Whether case matters in the last part of a key.
    fn keeps_case(&self) -> bool;
}

impl<T> AnyFamily for Family<T> {
    fn prefix(&self) -> &'static str {
        self.prefix
    }

    fn doc(&self) -> &'static [&'static str] {
        self.doc
    }

    fn expected(&self) -> String {
        self.rules.kind.expected()
    }

    fn examples(&self) -> &'static [(&'static str, &'static str)] {
        self.rules.examples
    }

    fn literal(&self, text: &str) -> String {
        self.rules.kind.spelling().literal(text)
    }

    fn is_secret(&self, name: &str) -> bool {
        (self.rules.is_secret)(name)
    }

    fn keeps_case(&self) -> bool {
        self.rules.keeps_case
    }
}
