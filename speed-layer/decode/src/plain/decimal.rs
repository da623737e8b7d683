//! Numbers by JSON's grammar.

use std::str::from_utf8;

/// Every number of so many digits is exact as a double, and so is ten to that power.
const EXACT_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A number as spelled.
pub(super) struct Decimal<'a> {
    text: &'a [u8],
    /// All digits before the exponent as one number, wrapped around if there are many.
    digits: u64,
    /// How many of them follow the point.
    fraction_digits: usize,
    /// Whether it has few digits and neither sign nor exponent.
    is_short: bool,
}

impl<'a> Decimal<'a> {
    /// The number that `bytes` begin with, and what follows it.
    #[inline]
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Decimal<'a>, &'a [u8])> {
        let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
        let mut digits = 0;
        let fraction = take_digits(unsigned, &mut digits)?;
        let integer_digits = unsigned.len() - fraction.len();
        if integer_digits > 1 && unsigned.starts_with(b"0") {
            return None;
        }
        let (fraction_digits, exponent) = match fraction.strip_prefix(b".") {
            None => (0, fraction),
            Some(fraction) => {
                let exponent = take_digits(fraction, &mut digits)?;
                (fraction.len() - exponent.len(), exponent)
            }
        };
        let rest = skip_exponent(exponent)?;
        let is_short = integer_digits + fraction_digits <= EXACT_DIGITS
            && unsigned.len() == bytes.len()
            && rest.len() == exponent.len();
        let text = &bytes[..bytes.len() - rest.len()];
        Some((Decimal { text, digits, fraction_digits, is_short }, rest))
    }

    /// The nearest double, unless there is a minus.
    ///
    /// The quotient of a short number's digits and power of ten, both exact, is rounded only once (W. D. Clinger, "How to
    /// Read Floating Point Numbers Accurately"). Other numbers are read by the standard library.
    #[inline]
    pub(super) fn to_unsigned(&self) -> Option<f64> {
        if self.is_short {
            #[expect(clippy::cast_precision_loss, reason = "fifteen digits are exact")]
            return Some(self.digits.cast_signed() as f64 / POWERS_OF_TEN[self.fraction_digits]);
        }
        let text = from_utf8(self.text).ok()?;
        if text.starts_with('-') { None } else { text.parse().ok() }
    }
}

/// What follows the digits that `bytes` begin with, which are added to `number`. `None` if there are none.
#[inline]
fn take_digits<'a>(bytes: &'a [u8], number: &mut u64) -> Option<&'a [u8]> {
    let mut rest = bytes;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = after;
    }
    (rest.len() < bytes.len()).then_some(rest)
}

/// What follows the exponent, if there is one. `None` if it has no digits.
#[inline]
fn skip_exponent(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'e' | b'E', b'+' | b'-', digits @ ..] | [b'e' | b'E', digits @ ..] => {
            take_digits(digits, &mut 0)
        }
        _ => Some(bytes),
    }
}
