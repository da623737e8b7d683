//! What serde_json does not check of values that it skips: nesting and lone surrogates.

/// Whether arrays and objects in `text` are nested deeper than `limit`, the outermost being level 1.
/// What is not JSON may be counted wrongly; it is refused all the same.
pub(super) fn is_nested_deeper(text: &str, limit: usize) -> bool {
    let opens = text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    opens > limit && deepest(text.as_bytes()) > limit
}

fn deepest(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Whether a string in the JSON value `raw` holds half of a surrogate pair.
pub(super) fn has_lone_surrogate(raw: &str) -> bool {
    let mut rest = raw;
    let mut high_pending = false;
    while let Some(at) = rest.find('\\') {
        let unit = rest.get(at + 1..at + 6).filter(|escape| escape.starts_with('u'));
        let unit = unit.and_then(|escape| u16::from_str_radix(&escape[1..], 16).ok());
        let is_low = unit.is_some_and(|unit| (0xdc00..0xe000).contains(&unit));
        let is_pair = high_pending && at == 0 && is_low;
        if (high_pending || is_low) && !is_pair {
            return true;
        }
        high_pending = unit.is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
        rest = &rest[at + if unit.is_some() { 6 } else { 2 }..];
    }
    high_pending
}
