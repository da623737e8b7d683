//! Settings passed on to a library by name: those of librdkafka and of the object store.
//!
//! They may hold passwords, so their `Debug` form leaves values out where the name suggests one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

/// What stands for a secret wherever settings are shown.
pub const REDACTED: &str = "[redacted]";

/// Parts of the names of secrets, in librdkafka's settings and the object store's options.
const SECRET_PARTS: [&str; 10] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "private",
    "ssl.key.pem",
    "customer_key",
    "jaas",
    "oauthbearer.config",
    "proxy_url",
];

/// Whether the name suggests a value that must not be shown.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Names and values for a library, in the order of names. Reads like a map.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The value of `name` for people: empty if there is none, and left out if it may be a secret.
    pub fn describe(&self, name: &str) -> &str {
        let value = self.0.get(name).map_or("", String::as_str);
        if is_secret(name) { REDACTED } else { value }
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
