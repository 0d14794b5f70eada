//! The headers that [`crate::headers`] looks for, and how a key is known to be one of them: a number of its beginning and its length finds
//! the only name of a set that it can be, and that is compared with all of it.

/// Which of eight slots are in which bucket: eight times the bucket's number, and one more than the slot's.
pub const PLACE_BITS: u64 = 9;
/// A set's names and a place that is nobody's.
const PLACES: usize = 8;
const _: () = assert!((PLACES as u64 - 1) * PLACE_BITS <= 64);

/// A wanted header's name.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Name {
    /// Its bytes, and zeros behind them.
    text: [u64; 3],
    len: u64,
}

/// Names that are looked for together.
pub trait Names {
    /// At most seven.
    const ALL: &'static [Name];
    /// What is set in each word of a key before it is compared: nothing, or [`LOWER_CASE`] for names in any case.
    const FOLD: u64 = 0;
    /// The lengths of the names.
    const LENS: u64 = lens(Self::ALL);
    /// A product with it has another number in its upper three bits for each name's digest.
    const MULTIPLIER: u64 = multiplier(Self::ALL);
    /// The names by those numbers. In memory: what is compared with each key costs the verifier most.
    const BY_PLACE: &'static [Name; PLACES] = &by_place(Self::ALL, Self::MULTIPLIER);
}

/// What is looked for in `net/http.Header`, whose keys are written as Go's textproto does it.
pub struct HttpNames;

pub const TRACEPARENT: Name = Name::new(b"Traceparent");
pub const USER_AGENT: Name = Name::new(b"User-Agent");
pub const TRACESTATE: Name = Name::new(b"Tracestate");
pub const FORWARDED: Name = Name::new(b"Forwarded");
pub const FORWARDED_FOR: Name = Name::new(b"X-Forwarded-For");
pub const FORWARDED_HOST: Name = Name::new(b"X-Forwarded-Host");
pub const FORWARDED_PROTO: Name = Name::new(b"X-Forwarded-Proto");

impl Names for HttpNames {
    const ALL: &'static [Name] =
        &[TRACEPARENT, USER_AGENT, TRACESTATE, FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO];
}

/// What is looked for where all else is known.
pub struct TraceState;

impl Names for TraceState {
    const ALL: &'static [Name] = &[TRACESTATE];
}

/// What is looked for in gRPC's metadata, whose keys are in lower case.
pub struct MetadataNames;

pub const LOWER_TRACEPARENT: Name = Name::new(b"traceparent");
pub const LOWER_TRACESTATE: Name = Name::new(b"tracestate");
pub const AUTHORITY: Name = Name::new(b":authority");

impl Names for MetadataNames {
    const ALL: &'static [Name] = &[LOWER_TRACEPARENT, LOWER_TRACESTATE, AUTHORITY];
}

/// What a program may have put into a header itself, however it is spelled: net/http writes keys as they stand in the map.
pub struct AnyCase;

pub const ANY_TRACEPARENT: Name = Name::new(b"traceparent").folded();
pub const ANY_TRACESTATE: Name = Name::new(b"tracestate").folded();
/// Sets the bit that tells lower from upper case in letters. Nothing but the two cases of a letter becomes that letter.
const LOWER_CASE: u64 = 0x2020_2020_2020_2020;

impl Names for AnyCase {
    const ALL: &'static [Name] = &[ANY_TRACEPARENT, ANY_TRACESTATE];
    const FOLD: u64 = LOWER_CASE;
}

impl Name {
    /// As a key looks with [`LOWER_CASE`] in all of its words.
    const fn folded(self) -> Self {
        let [first, second, third] = self.text;
        Self { text: [first | LOWER_CASE, second | LOWER_CASE, third | LOWER_CASE], len: self.len }
    }

    const fn new(text: &[u8]) -> Self {
        let mut words = [0; 3];
        let mut i = 0;
        while i < text.len() {
            words[i / 8] |= (text[i] as u64) << (8 * (i % 8));
            i += 1;
        }
        Self { text: words, len: text.len() as u64 }
    }

    pub const fn place<N: Names>(self) -> u64 {
        place(digest(self.text, self.len), N::MULTIPLIER)
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

const fn lens(names: &[Name]) -> u64 {
    let (mut all, mut i) = (0, 0);
    while i < names.len() {
        all |= 1 << names[i].len;
        i += 1;
    }
    all
}

const fn multiplier(names: &[Name]) -> u64 {
    let mut candidate = 1u64;
    loop {
        let (mut seen, mut i) = (0u64, 0);
        while i < names.len() {
            seen |= 1 << place(digest(names[i].text, names[i].len), candidate);
            i += 1;
        }
        // Each has one of its own, and none the eighth, for which there is no room in a word.
        if seen.count_ones() as usize == names.len() && seen >> (PLACES - 1) == 0 {
            return candidate;
        }
        candidate = candidate.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(2);
    }
}

/// At the places that are nobody's is none: no key has this length.
const fn by_place(names: &[Name], multiplier: u64) -> [Name; PLACES] {
    let (mut all, mut i) = ([Name { text: [0; 3], len: 0 }; PLACES], 0);
    while i < names.len() {
        all[place(digest(names[i].text, names[i].len), multiplier) as usize] = names[i];
        i += 1;
    }
    all
}

/// Where the numbers of these headers stand.
#[inline(always)]
pub const fn bits<N: Names>(names: &[Name]) -> u64 {
    let (mut all, mut i) = (0, 0);
    while i < names.len() {
        all |= ((1 << PLACE_BITS) - 1) << (names[i].place::<N>() * PLACE_BITS);
        i += 1;
    }
    all
}
