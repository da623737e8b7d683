//! The ways in which a record is damaged.
//!
//! Some damage bytes wherever they are, as links, buffers and half-written files do; some build what a decoder may stumble
//! over: depth, length, numbers, repeated names, bytes that are not UTF-8.

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::record;

/// The longest text put in, most of the time.
const LONG_TEXT_BYTES: usize = 64 * 1024;
/// What records are filled up to when they are to be too large, or just not: the default of `event.max_record_bytes`.
const LARGE_BYTES: usize = 1 << 20;
/// The deepest nesting put in.
const DEEPEST: usize = 20_000;

/// Pieces that matter to a reader of JSON or of events.
const TOKENS: [&[u8]; 28] = [
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\\udc00",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-",
    b"0",
    b"e400",
    b"1e-400",
    b".",
    b"..",
    b"Z",
    b"+24:00",
    b"1969-12-31T23:59:59Z",
    b"9999-12-31T23:59:59Z",
    b"\0",
    b"\n",
    b"\"kvfv_id\":",
    b"\"\":{}",
    b"\xef\xbb\xbf",
];
/// Bytes that no UTF-8 text holds.
const NOT_UTF8: [&[u8]; 5] = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xd0"];
/// The names of the four fields.
const NAMES: [&[u8]; 4] =
    [b"\"kvfv_id\":", b"\"timestamp\":", b"\"vehicle_speed\":", b"\"plate_number\":"];
/// Values that no field, or not every field, may have.
const WRONG_VALUES: [&[u8]; 10] = [
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"17",
    b"-0.001",
    b"\"\"",
    b"\"..\"",
    b"\"1969-12-31T23:59:59Z\"",
    b"\"2035-01-01T00:00:00Z\"",
];
/// Members whose names are there already.
const MEMBERS: [&[u8]; 5] = [
    b"\"kvfv_id\":\"KV1\"",
    b"\"kvfv\\u005fid\":\"KV1\"",
    b"\"vehicle_speed\":null",
    b"\"plate_number\":\"\\ud800\"",
    b"\"lane\":1,\"lane\":2",
];

/// What is done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing.
    Intact,
    /// A few bits are flipped.
    BitFlips,
    /// The end is missing.
    Truncation,
    /// The end is that of another record.
    Splice,
    /// A piece is missing.
    Deletion,
    /// A piece is there many times.
    Repetition,
    /// Pieces that matter to a reader are put in.
    Tokens,
    /// Arrays or objects within each other.
    Nesting,
    /// A number of many digits, or with a huge exponent.
    HugeNumber,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A field has a value that no event has.
    WrongValue,
    /// A member more, of a name that is there already.
    Member,
    /// A long text in a field, or many small members.
    LongText,
    /// About as long as a record may be, or longer.
    Large,
    /// No payload.
    NoPayload,
}

impl Mutation {
    /// Every mutation with its weight: of 100,000 records about so many.
    pub const WEIGHTS: [(Mutation, u32); 15] = [
        (Mutation::Intact, 15_000),
        (Mutation::BitFlips, 16_000),
        (Mutation::Truncation, 8_000),
        (Mutation::Splice, 10_000),
        (Mutation::Deletion, 8_000),
        (Mutation::Repetition, 5_000),
        (Mutation::Tokens, 12_000),
        (Mutation::Nesting, 500),
        (Mutation::HugeNumber, 6_000),
        (Mutation::NotUtf8, 5_000),
        (Mutation::WrongValue, 8_000),
        (Mutation::Member, 6_000),
        (Mutation::LongText, 200),
        (Mutation::Large, 5),
        (Mutation::NoPayload, 295),
    ];

    /// Draws one by its weight.
    pub fn draw(random: &mut SmallRng) -> Mutation {
        let total = Mutation::WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut place = random.random_range(0..total);
        for (mutation, weight) in Mutation::WEIGHTS {
            if place < weight {
                return mutation;
            }
            place -= weight;
        }
        Mutation::Intact
    }

    /// Damages `payload`, that of the record `number`.
    pub fn apply(self, number: u64, payload: &mut Vec<u8>, random: &mut SmallRng) {
        match self {
            Mutation::Intact => {}
            Mutation::BitFlips => flip_bits(payload, random),
            Mutation::Truncation => payload.truncate(place_in(payload, random)),
            Mutation::Splice => splice(payload, number, random),
            Mutation::Deletion => drop(payload.drain(piece_of(payload, random))),
            Mutation::Repetition => repeat(payload, random),
            Mutation::Tokens => {
                (0..random.random_range(1..=4))
                    .for_each(|_| insert(payload, pick(&TOKENS, random), random));
            }
            Mutation::Nesting => nest(payload, random),
            Mutation::HugeNumber => replace_speed(payload, random),
            Mutation::NotUtf8 => insert(payload, pick(&NOT_UTF8, random), random),
            Mutation::WrongValue => {
                let name = pick(&NAMES, random);
                replace(payload, name, pick(&WRONG_VALUES, random));
            }
            Mutation::Member => add_members(payload, &[pick(&MEMBERS, random), b","].concat()),
            Mutation::LongText => {
                let bytes = random.random_range(0..LONG_TEXT_BYTES);
                lengthen(payload, bytes, random);
            }
            Mutation::Large => {
                let bytes = LARGE_BYTES - 64 + random.random_range(0..128) - payload.len();
                lengthen(payload, bytes, random);
            }
            Mutation::NoPayload => payload.clear(),
        }
    }
}

fn flip_bits(payload: &mut [u8], random: &mut SmallRng) {
    for _ in 0..random.random_range(1..=8) {
        payload[random.random_range(0..payload.len())] ^= 1 << random.random_range(0..8);
    }
}

fn splice(payload: &mut Vec<u8>, number: u64, random: &mut SmallRng) {
    let mut other = Vec::new();
    record::write(number / 2, random, &mut other);
    payload.truncate(place_in(payload, random));
    payload.extend_from_slice(&other[place_in(&other, random)..]);
}

fn repeat(payload: &mut Vec<u8>, random: &mut SmallRng) {
    let piece = piece_of(payload, random);
    let many = payload[piece.clone()].repeat(random.random_range(1..50));
    payload.splice(piece.end..piece.end, many);
}

/// Puts something nested in the place of a value; a third of the times it is never closed.
fn nest(payload: &mut Vec<u8>, random: &mut SmallRng) {
    let deep = random.random_bool(0.1);
    let levels = random.random_range(1..if deep { DEEPEST } else { 260 });
    let (open, close): (&[u8], &[u8]) =
        if random.random() { (b"[", b"]") } else { (b"{\"a\":", b"}") };
    let closed = if random.random_range(0..3) > 0 { levels } else { 0 };
    let value = [&open.repeat(levels)[..], b"1", &close.repeat(closed)[..]].concat();
    add_members(payload, &[b"\"deep\":", &value[..], b","].concat());
}

/// Another number in the place of the speed.
fn replace_speed(payload: &mut Vec<u8>, random: &mut SmallRng) {
    let digits = |digit: u8, random: &mut SmallRng| vec![digit; random.random_range(1..2000)];
    let number = match random.random_range(0..6) {
        0 => digits(b'9', random),
        1 => [b"0.", &digits(b'0', random)[..], b"1"].concat(),
        2 => [b"400.", &digits(b'0', random)[..], b"1"].concat(),
        3 => format!("1e{}", random.random::<i64>()).into_bytes(),
        4 => format!("-{}", random.random::<f64>()).into_bytes(),
        _ => f64::from_bits(random.random()).to_string().into_bytes(),
    };
    replace(payload, b"\"vehicle_speed\":", &number);
}

/// Puts `value` in the place of what follows `name`, up to the next member.
fn replace(payload: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let Some(at) = payload.windows(name.len()).position(|part| part == name) else { return };
    let start = at + name.len();
    let length = payload[start..].iter().take_while(|byte| !b",}".contains(byte)).count();
    payload.splice(start..start + length, value.iter().copied());
}

/// Puts `members`, each with a comma after it, before all others.
fn add_members(payload: &mut Vec<u8>, members: &[u8]) {
    payload.splice(1..1, members.iter().copied());
}

/// Makes the payload longer by about so many bytes: by one long text, or by as many members as fit.
fn lengthen(payload: &mut Vec<u8>, bytes: usize, random: &mut SmallRng) {
    let piece: &[u8] = pick(&[b"x", b"\\n", "я".as_bytes(), b"[", b"\\", b"\x01"], random);
    let text = piece.repeat(bytes / piece.len());
    match random.random_range(0..4) {
        0 => add_members(payload, &b"\"\":0,".repeat(bytes / 5)),
        1 => add_members(payload, &[b"\"", &text[..], b"\":0,"].concat()),
        2 => add_members(payload, &[b"\"note\":\"", &text[..], b"\","].concat()),
        _ => {
            let quote = payload.iter().position(|byte| *byte == b'K').unwrap_or_default();
            payload.splice(quote..quote, text);
        }
    }
}

fn insert(payload: &mut Vec<u8>, piece: &[u8], random: &mut SmallRng) {
    let at = place_in(payload, random);
    payload.splice(at..at, piece.iter().copied());
}

fn pick<'a>(pieces: &[&'a [u8]], random: &mut SmallRng) -> &'a [u8] {
    pieces[random.random_range(0..pieces.len())]
}

fn place_in(payload: &[u8], random: &mut SmallRng) -> usize {
    random.random_range(0..payload.len())
}

/// A range within the payload, which is not empty.
fn piece_of(payload: &[u8], random: &mut SmallRng) -> std::ops::Range<usize> {
    let start = place_in(payload, random);
    start..random.random_range(start..payload.len()) + 1
}
