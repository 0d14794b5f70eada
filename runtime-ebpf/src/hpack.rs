//! The trace context as a field of an HTTP/2 header block: HPACK's literal without indexing, which changes nothing of what either end
//! remembers, its name and value in HPACK's Huffman code (RFC 7541, 5.2, 6.2.2 and appendix B). In plain bytes it takes 69, for which the
//! buffers of small requests have no room.
//!
//! ```text
//! 00 │ 88 name, 8 bytes │ a3..a9 value, 35 to 41 bytes
//! ```

use crate::trace_parent::TraceParent;

/// A character's code, and how many bits it has.
type Code = (u64, u32);

/// Those of the hex digits, in order.
const DIGITS: [Code; 16] = [
    (0x00, 5),
    (0x01, 5),
    (0x02, 5),
    (0x19, 6),
    (0x1a, 6),
    (0x1b, 6),
    (0x1c, 6),
    (0x1d, 6),
    (0x1e, 6),
    (0x1f, 6),
    (0x03, 5),
    (0x23, 6),
    (0x04, 5),
    (0x24, 6),
    (0x05, 5),
    (0x25, 6),
];
/// That of `-`.
const DASH: Code = (0x16, 6);
/// Those of `traceparent`.
const NAME: [Code; 11] = [
    (0x09, 5),
    (0x2c, 6),
    (0x03, 5),
    (0x04, 5),
    (0x05, 5),
    (0x2b, 6),
    (0x03, 5),
    (0x2c, 6),
    (0x05, 5),
    (0x2a, 6),
    (0x09, 5),
];
/// The name's bits, and ones behind them to the end of a byte.
const NAME_BITS: u64 = {
    let (mut bits, mut held, mut i) = (0, 0, 0);
    while i < NAME.len() {
        bits = bits << NAME[i].1 | NAME[i].0;
        held += NAME[i].1;
        i += 1;
    }
    assert!(held > 56 && held <= 64);
    bits << (64 - held) | ((1 << (64 - held)) - 1)
};
/// `00-`, from the uppermost bit on.
const LEAD: u64 = (DIGITS[0].0 << DIGITS[0].1 | DIGITS[0].0) << DASH.1 | DASH.0;
const LEAD_BITS: u32 = 2 * DIGITS[0].1 + DASH.1;

/// Two digits that spell a byte: their code in the lower twelve bits, and by how many bits it is longer than ten above.
static PAIRS: [u16; 256] = {
    let (mut pairs, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let (first, second) = (DIGITS[byte >> 4], DIGITS[byte & 15]);
        let bits = first.1 + second.1;
        pairs[byte] = (first.0 << second.1 | second.0) as u16 | ((bits - 10) as u16) << 12;
        byte += 1;
    }
    pairs
};

/// Where the field begins in what [`field`] writes: its value begins at a word.
pub const FIELD_AT: usize = 1;
/// Words that it writes to.
pub const FIELD_WORDS: usize = 16;
/// Bytes before the value.
const BEFORE: u32 = 11;
/// A literal without indexing, with a new name.
const LITERAL: u64 = 0;
/// A text in the Huffman code; its bytes are added.
const HUFFMAN: u64 = 0x80;
/// How long a value can be.
pub const VALUE_BYTES: core::ops::RangeInclusive<u32> = 35..=41;

/// What a field with a value of so many bytes begins with, as two words of memory, of the second of which 24 bits count.
#[inline(always)]
pub const fn beginning(value_bytes: u32) -> [u64; 2] {
    let name = NAME_BITS.swap_bytes();
    [LITERAL | (HUFFMAN | 8) << 8 | name << 16, name >> 48 | (HUFFMAN | value_bytes as u64) << 16]
}

/// Bits that are put one behind the other, and given away in words of four bytes. Without a branch, so that a verifier follows one way.
struct Bits {
    /// From the uppermost bit on.
    held: u64,
    /// How many of them, less than 32.
    count: u32,
    /// Words that are full.
    words: u32,
}

impl Bits {
    /// At most 32 more.
    #[inline(always)]
    fn push(&mut self, (code, bits): Code, put: &mut impl FnMut(u32, u32)) {
        self.held |= code << (64 - self.count - bits);
        self.count += bits;
        put(self.words, ((self.held >> 32) as u32).to_be());
        let full = self.count >> 5;
        self.held <<= full << 5;
        self.words += full;
        self.count &= 31;
    }
}

/// A byte, as two digits.
#[inline(always)]
fn pair(byte: u64) -> Code {
    let pair = PAIRS[(byte & 0xff) as usize] as u64;
    (pair & 0xfff, 10 + (pair >> 12) as u32)
}

#[inline(always)]
fn join(first: Code, second: Code) -> Code {
    (first.0 << second.1 | second.0, first.1 + second.1)
}

/// Writes the field: `put` is given a word's number and its bytes as they stand in memory, some words more than once, the last time as they
/// are to stay. Gives how many bytes the field has, from [`FIELD_AT`] on.
#[inline(always)]
pub fn field(parent: &TraceParent, mut put: impl FnMut(u32, u32)) -> u32 {
    let mut bits = Bits { held: LEAD << (64 - LEAD_BITS), count: LEAD_BITS, words: 3 };
    let [first, second] = parent.trace_id;
    let mut spell = |ids: u64, at: u32, before: Option<Code>, put: &mut _| {
        let two = join(pair(ids >> at), pair(ids >> (at + 8)));
        bits.push(before.map_or(two, |before| join(before, two)), put);
    };
    macro_rules! spell {
        ($($ids:ident $at:literal $before:expr;)+) => { $(spell($ids, $at, $before, &mut put);)+ };
    }
    let span = parent.span_id;
    spell! {
        first 0 None; first 16 None; first 32 None; first 48 None;
        second 0 None; second 16 None; second 32 None; second 48 None;
        span 0 Some(DASH); span 16 None; span 32 None; span 48 None;
    }
    bits.push(join(DASH, pair(parent.flags as u64)), &mut put);
    // Ones to the end.
    let rest = bits.held | u64::MAX >> bits.count;
    put(bits.words, ((rest >> 32) as u32).to_be());
    let value_bytes = (bits.words - 3) * 4 + ((bits.count + 7) >> 3);
    let [begins, goes_on] = beginning(value_bytes);
    put(0, (begins << 8) as u32);
    put(1, (begins >> 24) as u32);
    put(2, (begins >> 56) as u32 | (goes_on << 8) as u32);
    BEFORE + value_bytes
}

/// What a frame's head says (RFC 9113, 4.1 and 6.2), before its length is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// All of this stream's header block, and nothing behind it.
    Whole,
    /// A header block of this stream that goes on in another frame.
    Continued,
    /// Something else.
    Another,
}

/// Bytes of it.
pub const FRAME_HEAD_BYTES: u64 = 9;
/// What every peer takes in one frame (`SETTINGS_MAX_FRAME_SIZE`, RFC 9113, 6.5.2).
pub const MOST_FRAME_BYTES: u64 = 16_384;

/// The frame of which these are the first bytes.
#[inline(always)]
pub fn frame(head: [u64; 2], stream: u64) -> Frame {
    const HEADERS: u64 = 1;
    const END_HEADERS: u64 = 4;
    const PADDED: u64 = 8;
    let (kind, flags) = (head[0] >> 24 & 0xff, head[0] >> 32 & 0xff);
    let id = (head[0] >> 40 | head[1] << 24) as u32;
    if kind != HEADERS || flags & PADDED != 0 || u32::from_be(id) as u64 != stream {
        return Frame::Another;
    }
    if flags & END_HEADERS == 0 { Frame::Continued } else { Frame::Whole }
}

#[cfg(test)]
mod tests {
    use std::{string::String, vec::Vec};

    use super::*;

    /// What HPACK's Huffman code of these bytes spells, by the codes above alone; ones at the end are none.
    fn spelled(bytes: &[u8], codes: &[(char, Code)]) -> String {
        let (mut text, mut code, mut bits) = (String::new(), 0u64, 0);
        for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
            (code, bits) = (code << 1 | u64::from(bit), bits + 1);
            if let Some((letter, _)) = codes.iter().find(|(_, known)| *known == (code, bits)) {
                text.push(*letter);
                (code, bits) = (0, 0);
            }
        }
        assert!(bits < 8 && code == (1 << bits) - 1, "padded with {code:#b}");
        text
    }

    fn field_of(parent: &TraceParent) -> Vec<u8> {
        let mut words = [0xee_ee_ee_ee_u32; FIELD_WORDS];
        let bytes = field(parent, |at, word| words[at as usize] = word);
        let memory = words.map(u32::to_ne_bytes);
        memory.as_flattened()[FIELD_AT..FIELD_AT + bytes as usize].to_vec()
    }

    fn codes() -> Vec<(char, Code)> {
        let digits = "0123456789abcdef".chars().zip(DIGITS);
        digits.chain([('-', DASH)]).chain("traceparent".chars().zip(NAME)).collect()
    }

    #[test]
    fn a_field_is_spelled_in_every_length() {
        let mut lengths = [false; 7];
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let corners = [(0, 0), (u64::MAX, 0xff), (0x3333_3333_3333_3333, 0x33), (1, 1)];
        let corners = corners.map(|(id, flags)| TraceParent { trace_id: [id, id], span_id: id, flags });
        let randoms =
            (0..20_000).map(|_| TraceParent { trace_id: [next(), next()], span_id: next(), flags: 1 });
        for parent in corners.into_iter().chain(randoms) {
            let bytes = field_of(&parent);
            let value_bytes = u32::from(bytes[10] & 0x7f);
            lengths[(value_bytes - VALUE_BYTES.start()) as usize] = true;
            assert_eq!((bytes[0], bytes[1], bytes[10] >> 7), (0, 0x88, 1));
            assert_eq!(bytes.len(), 11 + value_bytes as usize);
            let begins: Vec<u8> = beginning(value_bytes).into_iter().flat_map(u64::to_le_bytes).collect();
            assert_eq!(begins[..11], bytes[..11]);
            assert_eq!(spelled(&bytes[2..10], &codes()), "traceparent");
            let words = crate::trace_parent::line(&parent).map(u64::to_le_bytes);
            let line = core::str::from_utf8(&words.as_flattened()[13..68]).expect("text");
            assert_eq!(spelled(&bytes[11..], &codes()), line);
        }
        assert!(lengths.iter().filter(|seen| **seen).count() >= 5, "{lengths:?}");
    }

    #[test]
    fn only_a_whole_block_of_the_stream_is_one() {
        let head = |kind: u8, flags: u8, id: u32| {
            let id = id.to_be_bytes();
            let bytes = [0, 0, 0, kind, flags, id[0], id[1], id[2], id[3], 0x82, 0x87, 0, 0, 0, 0, 0];
            let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
            [word(0), word(8)]
        };
        let stream = 0x1234_5679;
        assert_eq!(frame(head(1, 4, 0x1234_5679), stream), Frame::Whole);
        assert_eq!(frame(head(1, 5, 0x1234_5679), stream), Frame::Whole);
        assert_eq!(frame(head(1, 0x24, 0x1234_5679), stream), Frame::Whole);
        assert_eq!(frame(head(1, 1, 0x1234_5679), stream), Frame::Continued);
        assert_eq!(frame(head(1, 0xc, 0x1234_5679), stream), Frame::Another);
        assert_eq!(frame(head(0, 4, 0x1234_5679), stream), Frame::Another);
        assert_eq!(frame(head(1, 4, 0x1234_567b), stream), Frame::Another);
    }
}
