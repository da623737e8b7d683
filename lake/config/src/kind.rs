//! The kinds of values: what each expects in words, how it is read, and how the file spells it.
//!
//! A file's values are typed: text must be quoted, numbers must not. Variables and flags are text,
//! whatever the kind. Bounds are inclusive.

use std::net::SocketAddr;
use std::time::Duration;

use lake_model::speed::GREATEST_SPEED_LIMIT_KMH;

use crate::entry::Entry;
use crate::similar::closest;
use crate::units::{format_bytes, format_duration, parse_bytes};

/// What a value of type `T` must be.
pub trait Kind<T>: Sync {
    /// What is expected, in words that follow "expected".
    fn expected(&self) -> String;

    /// The value that `text` stands for, if it is of this kind.
    fn parse(&self, text: &str) -> Option<T>;

    /// What to do about the bad value `text`, where that can be seen in it.
    fn hint(&self, text: &str) -> Option<String> {
        let _ = text;
        None
    }

    /// How the file spells values of this kind.
    fn spelling(&self) -> Spelling {
        Spelling::Quoted
    }

    /// The value of `entry`, if it is of this kind.
    fn read(&self, entry: &Entry) -> Option<T> {
        self.parse(&self.spelling().text_of(entry)?)
    }
}

/// How the file spells a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// In quotes.
    Quoted,
    /// In quotes, or a whole number without.
    QuotedOrWhole,
    /// A whole number without quotes.
    Whole,
    /// Any number without quotes.
    Number,
    /// Anything but lists, tables and dates.
    Any,
}

impl Spelling {
    /// How `text` is written in the file.
    pub fn literal(self, text: &str) -> String {
        match self {
            Spelling::Whole | Spelling::Number => text.to_owned(),
            Spelling::Any if matches!(text, "true" | "false") => text.to_owned(),
            _ => format!("{text:?}"),
        }
    }

    /// The value of `entry` as text, unless it is spelt otherwise.
    fn text_of(self, entry: &Entry) -> Option<String> {
        let is_bare = matches!(self, Spelling::Whole | Spelling::Number);
        match &entry.value {
            toml::Value::String(text) => (!is_bare || !entry.is_typed()).then(|| text.clone()),
            toml::Value::Integer(number) => (self != Spelling::Quoted).then(|| number.to_string()),
            toml::Value::Float(number) => {
                matches!(self, Spelling::Number | Spelling::Any).then(|| number.to_string())
            }
            toml::Value::Boolean(truth) => (self == Spelling::Any).then(|| truth.to_string()),
            _ => None,
        }
    }
}

/// A text that a rule holds for.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// What is expected, in words.
    pub expected: &'static str,
    /// Whether a text is good.
    pub holds: fn(&str) -> bool,
}

impl<T: From<String>> Kind<T> for Text {
    fn expected(&self) -> String {
        self.expected.to_owned()
    }

    fn parse(&self, text: &str) -> Option<T> {
        (self.holds)(text).then(|| text.to_owned().into())
    }
}

/// A text that a rule holds for, with a hint at what else is meant by a bad one.
pub struct Hinted {
    /// The rule.
    pub text: Text,
    /// What to do about a bad text, where that can be seen in it.
    pub hint: fn(&str) -> Option<String>,
}

impl<T: From<String>> Kind<T> for Hinted {
    fn expected(&self) -> String {
        Kind::<T>::expected(&self.text)
    }

    fn parse(&self, text: &str) -> Option<T> {
        self.text.parse(text)
    }

    fn hint(&self, text: &str) -> Option<String> {
        (self.hint)(text)
    }
}

/// One of these words, each of which stands for a value.
pub struct OneOf<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + Sync> Kind<T> for OneOf<T> {
    fn expected(&self) -> String {
        let words = self.0.iter().map(|(word, _)| format!("{word:?}"));
        words.collect::<Vec<_>>().join(" or ")
    }

    fn parse(&self, text: &str) -> Option<T> {
        self.0.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    }

    fn hint(&self, text: &str) -> Option<String> {
        closest(text, self.0.iter().map(|(word, _)| *word))
            .map(|word| format!("did you mean {word:?}?"))
    }
}

/// A duration such as `1h30m`.
pub struct DurationWithin {
    min: Duration,
    max: Duration,
}

/// A duration, bounds in milliseconds.
pub const fn duration(min: u64, max: u64) -> DurationWithin {
    DurationWithin { min: Duration::from_millis(min), max: Duration::from_millis(max) }
}

impl Kind<Duration> for DurationWithin {
    fn expected(&self) -> String {
        let [min, max] = [self.min, self.max].map(format_duration);
        format!("a duration such as 5s, 30m or 3h, from {min} to {max}")
    }

    fn parse(&self, text: &str) -> Option<Duration> {
        let duration = humantime::parse_duration(text).ok()?;
        (self.min..=self.max).contains(&duration).then_some(duration)
    }
}

/// Bytes: a size such as `64MB` or `1MiB`, or a whole number.
pub struct Bytes {
    pub min: u64,
    pub max: u64,
}

impl Kind<u64> for Bytes {
    fn expected(&self) -> String {
        let [min, max] = [self.min, self.max].map(format_bytes);
        format!("a size such as 64MB, 1MiB or 1048576, from {min} to {max}")
    }

    fn parse(&self, text: &str) -> Option<u64> {
        parse_bytes(text).filter(|size| (self.min..=self.max).contains(size))
    }

    fn spelling(&self) -> Spelling {
        Spelling::QuotedOrWhole
    }
}

/// A whole number.
pub struct Count {
    pub min: u64,
    pub max: u64,
}

impl<T: TryFrom<u64>> Kind<T> for Count {
    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn parse(&self, text: &str) -> Option<T> {
        let number: u64 = text.parse().ok()?;
        (self.min..=self.max).contains(&number).then(|| number.try_into().ok())?
    }

    fn spelling(&self) -> Spelling {
        Spelling::Whole
    }
}

/// Kilometres per hour: a number greater than 0, within what a speed can be.
pub struct Kmh;

impl Kind<f64> for Kmh {
    fn expected(&self) -> String {
        format!("a number of km/h greater than 0, up to {GREATEST_SPEED_LIMIT_KMH}")
    }

    fn parse(&self, text: &str) -> Option<f64> {
        text.parse().ok().filter(|kmh| *kmh > 0.0 && *kmh <= GREATEST_SPEED_LIMIT_KMH)
    }

    fn spelling(&self) -> Spelling {
        Spelling::Number
    }
}

/// A part of a whole: a number from 0 to 1.
pub struct Share;

impl Kind<f64> for Share {
    fn expected(&self) -> String {
        "a share from 0 to 1, such as 0.1".to_owned()
    }

    fn parse(&self, text: &str) -> Option<f64> {
        text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
    }

    fn spelling(&self) -> Spelling {
        Spelling::Number
    }
}

/// An address to listen on, and examples of one in words.
pub struct Address(pub &'static str);

impl Kind<SocketAddr> for Address {
    fn expected(&self) -> String {
        format!("an IP address and a port such as {}", self.0)
    }

    fn parse(&self, text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }
}

/// Text, a number or a boolean that is passed on to a library as text.
pub struct Property;

impl Kind<String> for Property {
    fn expected(&self) -> String {
        "a text, a number, or true or false".to_owned()
    }

    fn parse(&self, text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn spelling(&self) -> Spelling {
        Spelling::Any
    }
}

/// A value of another kind, or the empty text for none.
pub struct OrNone<K>(pub K);

impl<T, K: Kind<T>> Kind<Option<T>> for OrNone<K> {
    fn expected(&self) -> String {
        format!("\"\" for none, or {}", self.0.expected())
    }

    fn parse(&self, text: &str) -> Option<Option<T>> {
        if text.is_empty() { Some(None) } else { self.0.parse(text).map(Some) }
    }

    fn hint(&self, text: &str) -> Option<String> {
        self.0.hint(text)
    }

    fn spelling(&self) -> Spelling {
        self.0.spelling()
    }
}

/// A value of another kind, for a key that need not be set.
pub struct Optional<K>(pub K);

impl<T, K: Kind<T>> Kind<Option<T>> for Optional<K> {
    fn expected(&self) -> String {
        self.0.expected()
    }

    fn parse(&self, text: &str) -> Option<Option<T>> {
        self.0.parse(text).map(Some)
    }

    fn spelling(&self) -> Spelling {
        self.0.spelling()
    }
}
