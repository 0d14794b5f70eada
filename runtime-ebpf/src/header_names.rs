//! The headers that [`crate::headers`] looks for, and how a key is known to be one of them: a number of its beginning and its length finds
//! the only name that it can be, and that is compared with all of it.

/// Which of eight slots are in which bucket: eight times the bucket's number, and one more than the slot's.
pub const PLACE_BITS: u64 = 9;
const _: () = assert!(NAMES.len() as u64 * PLACE_BITS <= 64);

/// A wanted header's name.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Name {
    /// Its bytes, and zeros behind them.
    text: [u64; 3],
    len: u64,
}

pub const TRACEPARENT: Name = Name::new(b"Traceparent");
pub const USER_AGENT: Name = Name::new(b"User-Agent");
pub const TRACESTATE: Name = Name::new(b"Tracestate");
pub const FORWARDED: Name = Name::new(b"Forwarded");
pub const FORWARDED_FOR: Name = Name::new(b"X-Forwarded-For");
pub const FORWARDED_HOST: Name = Name::new(b"X-Forwarded-Host");
pub const FORWARDED_PROTO: Name = Name::new(b"X-Forwarded-Proto");

const NAMES: [Name; 7] =
    [TRACEPARENT, USER_AGENT, TRACESTATE, FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO];
/// The lengths of the names.
pub const LENS: u64 = 1 << 9 | 1 << 10 | 1 << 11 | 1 << 15 | 1 << 16 | 1 << 17;
/// A product with it has another number in its upper three bits for each name's digest.
pub const MULTIPLIER: u64 = multiplier();
/// The names by those numbers. In memory: what is compared with each key costs the verifier most.
pub static BY_PLACE: [Name; 8] = by_place();

impl Name {
    const fn new(text: &[u8]) -> Self {
        let mut words = [0; 3];
        let mut i = 0;
        while i < text.len() {
            words[i / 8] |= (text[i] as u64) << (8 * (i % 8));
            i += 1;
        }
        Self { text: words, len: text.len() as u64 }
    }

    pub const fn place(self) -> u64 {
        place(digest(self.text, self.len), MULTIPLIER)
    }
}

/// One number of a key's beginning and length, which finds the only name that it can be. It proves nothing: names that share one
/// are easily made, and a proxy that takes the wanted ones out of its clients' requests lets those pass.
#[inline(always)]
pub const fn digest(text: [u64; 3], len: u64) -> u64 {
    /// An odd number with many bits (2^64 divided by the golden ratio).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    (text[0] ^ len).wrapping_mul(SPREAD) ^ text[1]
}

#[inline(always)]
pub const fn place(digest: u64, multiplier: u64) -> u64 {
    digest.wrapping_mul(multiplier) >> 61
}

const fn multiplier() -> u64 {
    let mut candidate = 1u64;
    loop {
        let (mut seen, mut i) = (0u64, 0);
        while i < NAMES.len() {
            seen |= 1 << place(digest(NAMES[i].text, NAMES[i].len), candidate);
            i += 1;
        }
        // Each has one of its own, and none the eighth, for which there is no room in a word.
        if seen == (1 << NAMES.len()) - 1 {
            return candidate;
        }
        candidate = candidate.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(2);
    }
}

/// At the eighth place is none: no key has this length.
const fn by_place() -> [Name; 8] {
    let (mut all, mut i) = ([Name { text: [0; 3], len: 0 }; 8], 0);
    while i < NAMES.len() {
        all[NAMES[i].place() as usize] = NAMES[i];
        i += 1;
    }
    all
}

/// Where the numbers of these headers stand.
#[inline(always)]
pub const fn bits(names: &[Name]) -> u64 {
    let (mut all, mut i) = (0, 0);
    while i < names.len() {
        all |= ((1 << PLACE_BITS) - 1) << (names[i].place() * PLACE_BITS);
        i += 1;
    }
    all
}
