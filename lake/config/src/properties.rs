//! Settings passed on to a library by name: those of librdkafka and of the object store.
//!
//! They may hold passwords, so their `Debug` form leaves values out where the name suggests one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

/// What stands for a secret wherever settings are shown.
pub const REDACTED: &str = "[redacted]";

/// Parts of the names of secrets, in librdkafka's settings and the object store's options. Only letters and digits
/// count, so that a name is recognised with underscores in place of dots.
const SECRET_PARTS: [&str; 11] = [
    "password",
    "passphrase",
    "passwd",
    "secret",
    "token",
    "private",
    "sslkeypem",
    "customerkey",
    "jaas",
    "oauthbearerconfig",
    "proxyurl",
];
/// Words that a misspelt name of a secret is recognised by, and how many letters may differ.
const SECRET_WORDS: [(&str, usize); 6] =
    [("password", 2), ("passphrase", 2), ("secret", 1), ("token", 1), ("pass", 0), ("pwd", 0)];

/// Whether the name suggests a value that must not be shown, also where it is misspelt.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let letters: String = name.chars().filter(|letter| letter.is_alphanumeric()).collect();
    let is_near = |word: &str| {
        SECRET_WORDS.iter().any(|(secret, few)| strsim::osa_distance(word, secret) <= *few)
    };
    SECRET_PARTS.iter().any(|part| letters.contains(part))
        || name.split(|letter: char| !letter.is_alphanumeric()).any(is_near)
}

/// The value of the property `name` for people: left out if it may be a secret.
pub fn describe_property<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) { REDACTED } else { value }
}

/// Names and values for a library, in the order of names. Reads like a map.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The value of `name` for people: empty if there is none, and left out if it may be a secret.
    pub fn describe(&self, name: &str) -> &str {
        describe_property(name, self.0.get(name).map_or("", String::as_str))
    }
}

impl Properties {
    /// `text`, which a library wrote, without the secrets among the values.
    pub fn redact(&self, text: &str) -> String {
        let secrets = self.0.iter().filter(|(name, value)| is_secret(name) && !value.is_empty());
        secrets.fold(text.to_owned(), |text, (_, value)| text.replace(value.as_str(), REDACTED))
    }
}

impl Deref for Properties {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = (&'a String, &'a String);
    type IntoIter = std::collections::btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromIterator<(String, String)> for Properties {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(entries: I) -> Properties {
        Properties(entries.into_iter().collect())
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.keys().map(|name| (name, self.describe(name)))).finish()
    }
}
