//! What a key is, and `section!`, which defines the keys of a section together with its struct.
//!
//! A section is written once, in a file of `crate::sections`:
//!
//! ```text
//! section! {
//!     /// What the section is about.
//!     pub struct Speed in "speed" {
//!         /// What the key means.
//!         commit_interval: Duration = duration(100 * MILLISECOND, 5 * MINUTE), default("5s");
//!     }
//!     families {}
//! }
//! ```
//!
//! From it the macro makes the struct, whose fields are documented by the same text as the keys in
//! `lakehouse.toml`; `KEYS`, by whose fields other modules refer to a key; `TABLE`, which lists the
//! keys without their types; and the function that reads the struct. That the kind of a key gives
//! values of its field's type is checked by the compiler.

use crate::entry::{Entry, Source};
use crate::error::Problems;
use crate::family::AnyFamily;
use crate::given::Given;
use crate::kind::Kind;

/// A key with a fixed name, whose values are of type `T`.
pub struct Key<T: 'static> {
    /// The dotted name.
    pub name: &'static str,
    /// What it means, for people, line by line.
    pub doc: &'static [&'static str],
    /// What its value must be.
    pub kind: &'static dyn Kind<T>,
    /// What it is where it is not given.
    pub fallback: Fallback<T>,
    /// Good values that are not the default, to show.
    pub examples: &'static [&'static str],
}

/// The value of a key that is not given.
pub enum Fallback<T: 'static> {
    /// The value that this text stands for.
    Text(&'static str),
    /// No value, as its type expresses it.
    Unset(fn() -> T),
}

/// The default of a key, as text.
pub const fn default<T>(text: &'static str) -> Fallback<T> {
    Fallback::Text(text)
}

/// No default.
pub const fn unset<T>() -> Fallback<Option<T>> {
    Fallback::Unset(|| None)
}

impl<T> Key<T> {
    /// The value that is given, or else the default. One that is not of the key's kind is reported,
    /// and the default stands in for it, so that one run finds every problem.
    pub fn read(&self, given: &Given, problems: &mut Problems) -> T {
        let Some(entry) = given.get(self.name) else { return self.fall_back() };
        self.kind.read(entry).unwrap_or_else(|| {
            let fault = format!("expected {}", self.expected());
            let hint = entry.value.as_str().and_then(|text| self.kind.hint(text));
            let remedy = hint.unwrap_or_else(|| self.remedy(self.example()));
            problems.with_key(self.name, entry, fault, remedy);
            self.fall_back()
        })
    }

    fn fall_back(&self) -> T {
        match self.fallback {
            Fallback::Text(text) => self.kind.parse(text).expect("a default is of its key's kind"),
            Fallback::Unset(none) => none(),
        }
    }
}

/// A key without the type of its values.
pub trait AnyKey: Sync {
    /// The dotted name.
    fn name(&self) -> &'static str;
    /// What it means, line by line.
    fn doc(&self) -> &'static [&'static str];
    /// What its value must be, in words that follow "expected".
    fn expected(&self) -> String;
    /// Its default as text, if it has one of its own.
    fn default_text(&self) -> Option<&'static str>;
    /// A good value, to show.
    fn example(&self) -> &'static str;
    /// How the file spells a value.
    fn literal(&self, text: &str) -> String;

    /// What to do about a bad value where `good` would be a good one.
    fn remedy(&self, good: &str) -> String {
        format!("try {} = {}", self.name(), self.literal(good))
    }

    /// The default as messages quote it.
    fn default_entry(&self) -> Entry {
        Entry::text(self.default_text().unwrap_or_default(), Source::Default)
    }
}

impl<T> AnyKey for Key<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static [&'static str] {
        self.doc
    }

    fn expected(&self) -> String {
        self.kind.expected()
    }

    fn default_text(&self) -> Option<&'static str> {
        match self.fallback {
            Fallback::Text(text) => Some(text),
            Fallback::Unset(_) => None,
        }
    }

    fn example(&self) -> &'static str {
        let own = self.examples.first().copied();
        own.or(self.default_text()).expect("a key without a default has an example")
    }

    fn literal(&self, text: &str) -> String {
        self.kind.spelling().literal(text)
    }
}

/// A section of the file, and all that it may hold.
pub struct Section {
    /// The first part of its keys.
    pub name: &'static str,
    /// What it is about, for people, line by line.
    pub doc: &'static [&'static str],
    /// Its keys with fixed names.
    pub keys: &'static [&'static dyn AnyKey],
    /// Its families of keys.
    pub families: &'static [&'static dyn AnyFamily],
}

/// Defines a section: see the head of this module.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $section:ident in $prefix:literal {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $type:ty = $kind:expr, $fallback:expr $(, such_as $example:literal)?;
            )*
        }
        families {
            $(
                $(#[doc = $family_doc:literal])+
                $family:ident: $collection:ty, of $value:ty = $rules:expr;
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $section {
            $($(#[doc = $doc])+ pub $key: $type,)*
            $($(#[doc = $family_doc])+ pub $family: $collection,)*
        }

        /// The section's keys and families, by the names of the struct's fields.
        pub(crate) struct Keys {
            $(pub $key: $crate::key::Key<$type>,)*
            $(pub $family: $crate::family::Family<$value>,)*
        }

        pub(crate) static KEYS: Keys = Keys {
            $($key: $crate::key::Key {
                name: concat!($prefix, ".", stringify!($key)),
                doc: &[$($doc),+],
                kind: &$kind,
                fallback: $fallback,
                examples: &[$($example)?],
            },)*
            $($family: $crate::family::Family {
                prefix: concat!($prefix, ".", stringify!($family), "."),
                doc: &[$($family_doc),+],
                rules: $rules,
            },)*
        };

        pub(crate) static TABLE: $crate::key::Section = $crate::key::Section {
            name: $prefix,
            doc: &[$($about),+],
            keys: &[$(&KEYS.$key),*],
            families: &[$(&KEYS.$family),*],
        };

        impl $section {
            /// Reads every key, and adds what is wrong to `problems`.
            pub(crate) fn read(
                given: &$crate::given::Given,
                problems: &mut $crate::error::Problems,
            ) -> $section {
                $section {
                    $($key: KEYS.$key.read(given, problems),)*
                    $($family: KEYS.$family.read(given, problems),)*
                }
            }
        }
    };
}

pub(crate) use section;
