//! The kinds of values: how each is read, and what it expects in words.
//!
//! A file's values are typed: text must be quoted, numbers must not. Variables and flags are text,
//! whatever the kind.

use std::time::Duration;

use lake_model::speed::GREATEST_SPEED_LIMIT_KMH;

use super::source::Entry;

/// A rule for texts: what is expected, in words, and whether a text is that.
#[derive(Clone, Copy, Debug)]
pub struct TextRule {
    /// Reads after "expected".
    pub expected: &'static str,
    /// Whether a text is good.
    pub holds: fn(&str) -> bool,
}

/// What the value of a key must be. Bounds are inclusive.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text that a rule holds for.
    Text(TextRule),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A duration such as `1h30m`.
    Duration {
        /// The shortest one allowed.
        min: Duration,
        /// The longest one allowed.
        max: Duration,
    },
    /// A duration, or the empty text for none.
    DurationOrNone {
        /// The shortest one allowed.
        min: Duration,
        /// The longest one allowed.
        max: Duration,
    },
    /// Bytes: a size such as `64MB` or `1MiB`, or a whole number.
    Bytes {
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// A whole number.
    Count {
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// Kilometres per hour: a number greater than 0, within what a speed can be.
    Kmh,
    /// Text, a number or a boolean that is passed on as text.
    Property,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Duration(Duration),
    Whole(u64),
    Number(f64),
    Nothing,
}

impl Kind {
    /// What is expected, in words that follow "expected".
    pub fn expected(&self) -> String {
        match self {
            Kind::Text(rule) => rule.expected.to_owned(),
            Kind::Choice(words) => {
                words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or ")
            }
            Kind::Duration { min, max } => format!(
                "a duration such as 5s, 30m or 3h, from {} to {}",
                format_duration(*min),
                format_duration(*max)
            ),
            Kind::DurationOrNone { min, max } => {
                format!("\"\" for none, or {}", Kind::Duration { min: *min, max: *max }.expected())
            }
            Kind::Bytes { min, max } => format!(
                "a size such as 64MB, 1MiB or 1048576, from {} to {}",
                format_bytes(*min),
                format_bytes(*max)
            ),
            Kind::Count { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Kmh => {
                format!("a number of km/h greater than 0, up to {GREATEST_SPEED_LIMIT_KMH}")
            }
            Kind::Property => "a text, a number, or true or false".to_owned(),
        }
    }

    /// How `text` is written as a value of this kind in the file.
    pub fn quoted(&self, text: &str) -> String {
        match self {
            Kind::Count { .. } | Kind::Kmh => text.to_owned(),
            Kind::Property if matches!(text, "true" | "false") => text.to_owned(),
            _ => format!("{text:?}"),
        }
    }

    /// The value of `entry`, if it is of this kind.
    pub(super) fn read(&self, entry: &Entry) -> Option<Value> {
        let bare = matches!(self, Kind::Count { .. } | Kind::Kmh);
        match &entry.value {
            toml::Value::String(text) if !(bare && entry.is_typed()) => self.read_text(text),
            toml::Value::Integer(number) if bare || self.takes_numbers() => {
                self.read_text(&number.to_string())
            }
            toml::Value::Float(number) if matches!(self, Kind::Kmh | Kind::Property) => {
                self.read_text(&number.to_string())
            }
            toml::Value::Boolean(truth) if matches!(self, Kind::Property) => {
                self.read_text(&truth.to_string())
            }
            _ => None,
        }
    }

    fn takes_numbers(&self) -> bool {
        matches!(self, Kind::Bytes { .. } | Kind::Property)
    }

    /// The value that `text` stands for, if it is of this kind.
    pub(super) fn read_text(&self, text: &str) -> Option<Value> {
        match self {
            Kind::Text(rule) => (rule.holds)(text).then(|| Value::Text(text.to_owned())),
            Kind::Choice(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
            Kind::DurationOrNone { .. } if text.is_empty() => Some(Value::Nothing),
            Kind::Duration { min, max } | Kind::DurationOrNone { min, max } => {
                let duration = humantime::parse_duration(text).ok()?;
                (*min..=*max).contains(&duration).then_some(Value::Duration(duration))
            }
            Kind::Bytes { min, max } => {
                parse_bytes(text).filter(|size| (*min..=*max).contains(size)).map(Value::Whole)
            }
            Kind::Count { min, max } => {
                let number = text.parse().ok()?;
                (*min..=*max).contains(&number).then_some(Value::Whole(number))
            }
            Kind::Kmh => {
                let number: f64 = text.parse().ok()?;
                (number > 0.0 && number <= GREATEST_SPEED_LIMIT_KMH)
                    .then_some(Value::Number(number))
            }
            Kind::Property => Some(Value::Text(text.to_owned())),
        }
    }
}

/// Sizes of units, in bytes, greatest first.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Bytes of a size such as `64MB`, `1 MiB` or `1048576`; units in any case.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_start() {
        "" if digits == text.len() => 1,
        unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    number.checked_mul(unit)
}

/// `bytes` in the greatest unit that divides them.
pub(super) fn format_bytes(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(name, size)| format!("{}{name}", bytes / size))
}

/// `duration` as it is written in settings, to the millisecond: `1h30m`.
pub(super) fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
    {
        if rest >= size {
            text += &format!("{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
