//! JSON's tokens, one after the other. `None` means that the token is not here, or is not spelled plainly.

use lake_model::event_format::FieldName;

use super::decimal::Decimal;

/// What is left of a payload. Before each token but [`Reader::member`], space is passed over; a token that is not here is
/// not passed over.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Reader<'a> {
        Reader { rest: payload }
    }

    pub(super) fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing but space follows.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    /// Takes a mark such as a comma.
    #[inline]
    pub(super) fn mark(&mut self, mark: u8) -> Option<()> {
        if self.rest.first() != Some(&mark) {
            self.skip_space();
        }
        self.rest = self.rest.strip_prefix(&[mark])?;
        Some(())
    }

    /// Takes the name and the colon of the member that is called so, where no space is.
    #[inline]
    pub(super) fn member(&mut self, name: &FieldName) -> Option<()> {
        self.rest = self.rest.strip_prefix(name.member()?.as_bytes())?;
        Some(())
    }

    /// Takes `null`, `true` or `false`.
    pub(super) fn word(&mut self, word: &[u8]) -> Option<()> {
        self.skip_space();
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// The inside of a string without escapes and control characters, which need not be UTF-8.
    #[inline]
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        if self.rest.first() != Some(&b'"') {
            self.skip_space();
        }
        let inside = self.rest.strip_prefix(b"\"")?;
        let (text, rest) = inside.split_at_checked(plain_length(inside))?;
        self.rest = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Option<Decimal<'a>> {
        self.skip_space();
        let (number, rest) = Decimal::read(self.rest)?;
        self.rest = rest;
        Some(number)
    }

    /// A string, a number, `null`, `true` or `false`, as spelled.
    pub(super) fn scalar(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let spelled = self.rest;
        match spelled.first()? {
            b'"' => {
                self.string()?;
            }
            b'n' => self.word(b"null")?,
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            _ => {
                self.number()?;
            }
        }
        Some(&spelled[..spelled.len() - self.rest.len()])
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

/// How many bytes come before the first quote, backslash or control character, or before the end.
///
/// It is called from many places, and measured faster than a copy in each.
#[inline(never)]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk() {
        if let Some(at) = first_end(u64::from_le_bytes(*word)) {
            return bytes.len() - rest.len() + at;
        }
        rest = after;
    }
    let at = match bytes.last_chunk::<8>() {
        _ if rest.is_empty() => None,
        // What was looked at before is shifted out; the zeros that come in are control characters.
        Some(word) => first_end(u64::from_le_bytes(*word) >> (8 * (word.len() - rest.len()))),
        None => rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)),
    };
    bytes.len() - rest.len() + at.unwrap_or(rest.len())
}

/// The place of the first of eight bytes, from the lowest on, that is a quote, a backslash or a control character.
///
/// A byte is below `n` (at most 128) if subtracting `n` sets its highest bit, which was not set. A borrow from the byte
/// above makes that one unsure, but not the first. (H. S. Warren, "Hacker's Delight", "Find First 0-Byte".)
#[inline]
const fn first_end(word: u64) -> Option<usize> {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let quotes = word ^ (b'"' as u64 * EACH);
    let backslashes = word ^ (b'\\' as u64 * EACH);
    let below = (quotes.wrapping_sub(EACH) & !quotes)
        | (backslashes.wrapping_sub(EACH) & !backslashes)
        | (word.wrapping_sub(0x20 * EACH) & !word);
    let ends = below & (0x80 * EACH);
    if ends == 0 { None } else { Some(ends.trailing_zeros() as usize / 8) }
}
