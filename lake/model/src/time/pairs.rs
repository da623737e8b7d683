//! Numbers of two decimal digits, read from text eight bytes at once.

/// The numbers of two digits in `text`, each in the place of its first digit. `None` unless `text` has digits where
/// `SHAPE` has zeros and is like `SHAPE` elsewhere.
///
/// It is done for all bytes at once: in `values` a digit is its value and all else is to be zero.
pub(super) fn pairs<const SHAPE: u64>(text: [u8; 8]) -> Option<[u8; 8]> {
    let values = u64::from_le_bytes(text) ^ SHAPE;
    let is_good = (values | values.wrapping_add(const { headroom(SHAPE) })) & HIGH_BITS == 0;
    is_good.then(|| (values * 10 + (values >> 8)).to_le_bytes())
}

/// The highest bit of each byte.
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// What a value may have added to it in each place without getting a high bit.
const fn headroom(shape: u64) -> u64 {
    let mut bytes = shape.to_le_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let greatest = if bytes[at] == b'0' { 9 } else { 0 };
        bytes[at] = 0x7f - greatest;
        at += 1;
    }
    u64::from_le_bytes(bytes)
}

pub(super) fn two_digits(tens: u8, units: u8) -> Option<u32> {
    let (tens, units) = (tens.wrapping_sub(b'0'), units.wrapping_sub(b'0'));
    (tens < 10 && units < 10).then(|| u32::from(tens) * 10 + u32::from(units))
}
