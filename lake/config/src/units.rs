//! Durations and sizes: the bounds that keys are defined with, and how both are read and written.

use std::time::Duration;

pub const MILLISECOND: u64 = 1;
pub const SECOND: u64 = 1_000 * MILLISECOND;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;
/// The longest duration that makes sense anywhere, so that sums of times cannot overflow.
pub const CENTURY: u64 = 36_500 * DAY;

pub const MB: u64 = 1_000_000;
pub const MIB: u64 = 1 << 20;
pub const TB: u64 = 1_000_000 * MB;

/// Sizes of units, in bytes, greatest first.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", TB),
    ("GiB", 1 << 30),
    ("GB", 1_000 * MB),
    ("MiB", MIB),
    ("MB", MB),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Bytes of a size such as `64MB`, `1 MiB` or `1048576`; units in any case.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_start() {
        "" if digits == text.len() => 1,
        unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    number.checked_mul(unit)
}

/// `bytes` in the greatest unit that divides them.
pub fn format_bytes(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(name, size)| format!("{}{name}", bytes / size))
}

/// `duration` as it is written in settings, to the millisecond: `1h30m`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)]
    {
        let size = u128::from(size);
        if rest >= size {
            text += &format!("{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
