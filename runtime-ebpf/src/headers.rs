//! Finds headers in `net/http.Header`, a `map[string][]string`, by walking it: its hash is seeded, so there is no look-up.
//!
//! ```text
//! Swiss (Go 1.24+):  Map { used, seed, dirPtr@16, dirLen@24, … }
//!     dirLen 0: dirPtr -> one group;  else dirPtr -> *table -> groups@16, lengthMask@24
//!     group:  ctrl u64 | 8 slots of { key ptr, len; elem ptr, len, cap }          328 bytes
//!     split:  ctrl u64 | 8 keys | 8 elems (GOEXPERIMENT=mapsplitgroup)
//! hmap (Go ≤ 1.23): hmap { count, flags@8, B@9, buckets@16, oldbuckets@24 }
//!     bucket: tophash u8[8] | 8 keys | 8 elems | overflow@328
//! ```
//! (go-binary-format.md (f).) No loops: unrolled, they verify on 5.8, where nested bounded loops are refused, and in a tenth
//! of the steps. What lies beyond the unrolled part is not walked and counted.

use runtime_ebpf::{
    abi::{HEADERS_HMAP, HEADERS_SWISS, HEADERS_SWISS_SPLIT},
    counters::Counter,
};

use crate::{
    count::count,
    read::{GoString, opaque, read, read_bytes, try_read_bytes},
};

/// The values (a `[]string`: address and length) of the wanted headers; zeros when the header is not there.
#[repr(C)]
pub struct Found {
    pub traceparent: GoString,
    pub user_agent: GoString,
}

const SLOTS: u64 = 8;
/// Size of a group, interleaved or split.
const GROUP_BYTES: u64 = 328;
/// Size of an interleaved slot: a string and a slice.
const SLOT_BYTES: u64 = 40;
/// Keys that stand together, and behind them the elements.
const KEYS: u64 = 8;
const ELEMS: u64 = KEYS + 16 * SLOTS;
/// The overflow pointer of a bucket, its last word.
const OVERFLOW: u64 = 328;
/// The top bit of each byte.
const TOPS: u64 = 0x8080_8080_8080_8080;

macro_rules! unrolled {
    ($i:ident in [$($n:literal)+] $body:block) => { $( { const $i: u64 = $n; $body } )+ };
}

/// Walks the header map at `map`. `zero` must be 0, and the verifier must not know it: it then takes what was found and what
/// was not for the same state, and the walk costs it a hundredth.
#[inline(always)]
pub fn find(map: u64, kind: u8, zero: u64) -> Found {
    let none = GoString { address: zero, len: zero };
    let mut found = Found { traceparent: none, user_agent: none };
    if map == 0 {
        return found;
    }
    match kind {
        HEADERS_SWISS | HEADERS_SWISS_SPLIT => {
            walk_swiss(map, (kind == HEADERS_SWISS_SPLIT) as u64, &mut found)
        }
        HEADERS_HMAP => walk_hmap(map, &mut found),
        _ => {}
    }
    found
}

#[inline(always)]
fn walk_swiss(map: u64, split: u64, found: &mut Found) {
    let Some([dir, dir_len]) = read::<[u64; 2]>(map + 16) else { return };
    if dir == 0 {
        return;
    }
    let (mut groups, mut mask) = (dir, 0);
    if dir_len != 0 {
        let Some(table) = read::<u64>(dir) else { return };
        let Some([first, length_mask]) = read::<[u64; 2]>(table + 16) else { return };
        (groups, mask) = (first, length_mask);
    }
    if dir_len > 1 || mask > 15 {
        count(Counter::HeadersCut);
    }
    unrolled!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
        if I > mask {
            return;
        }
        swiss_group(groups + I * GROUP_BYTES, split, found);
    });
}

/// A function of its own, as are the others below: one body, many calls.
#[inline(never)]
fn swiss_group(group: u64, split: u64, found: &mut Found) {
    let mut full = if split == 0 { first_half(group, found) } else { UNREAD };
    if full == UNREAD {
        let Some(ctrl) = read::<u64>(group) else { return };
        full = !ctrl & TOPS;
        if split != 0 {
            separate(group, full, found);
            return;
        }
        if full << 32 != 0 {
            interleaved(group + 8, full, found);
        }
    }
    if full >> 32 != 0 {
        interleaved(group + 8 + 4 * SLOT_BYTES, full >> 32, found);
    }
}

/// What no control word gives.
const UNREAD: u64 = u64::MAX;

/// The control word and the first four slots in one read. That touches slots that may never have been written, and the read
/// then fails on a page that was never touched (field-notes §10): the caller goes on word by word.
#[inline(never)]
fn first_half(group: u64, found: &mut Found) -> u64 {
    let mut words = [UNREAD; 1 + 4 * SLOT_BYTES as usize / 8];
    if !try_read_bytes(words.as_mut_ptr().cast(), size_of_val(&words) as u32, group) {
        return UNREAD;
    }
    let full = !words[0] & TOPS;
    unrolled!(I in [0 1 2 3] {
        if full >> (8 * I) & 0x80 != 0 {
            let at = 1 + 5 * I as usize;
            slot(words[at], words[at + 1], GoString { address: words[at + 2], len: words[at + 3] }, found);
        }
    });
    full
}

/// Four slots from `first`, only up to the last full one: what lies behind may never have been touched.
#[inline(never)]
fn interleaved(first: u64, full: u64, found: &mut Found) {
    // Filled with a number that the verifier does not know, so that a short read leaves the same state as a long one.
    let mut words = [full; 4 * SLOT_BYTES as usize / 8];
    let len = match full & 0x8080_8080 {
        0x8000_0000.. => 4 * SLOT_BYTES,
        0x0080_0000.. => 3 * SLOT_BYTES,
        0x8000.. => 2 * SLOT_BYTES,
        _ => SLOT_BYTES,
    };
    if !read_bytes(words.as_mut_ptr().cast(), len as u32, first) {
        return;
    }
    unrolled!(I in [0 1 2 3] {
        if full >> (8 * I) & 0x80 != 0 {
            let at = 5 * I as usize;
            slot(words[at], words[at + 1], GoString { address: words[at + 2], len: words[at + 3] }, found);
        }
    });
}

/// Eight slots whose keys stand together.
#[inline(never)]
fn separate(group: u64, full: u64, found: &mut Found) {
    let mut words = [full; 2 * SLOTS as usize];
    if full == 0 || !read_bytes(words.as_mut_ptr().cast(), 16 * SLOTS as u32, group + KEYS) {
        return;
    }
    unrolled!(I in [0 1 2 3 4 5 6 7] {
        let len = words[2 * I as usize + 1];
        if full >> (8 * I) & 0x80 != 0
            && is_wanted_len(len)
            && let Some(values) = read::<GoString>(group + ELEMS + 24 * I)
        {
            slot(words[2 * I as usize], len, values, found);
        }
    });
}

#[inline(always)]
fn walk_hmap(map: u64, found: &mut Found) {
    let Some(head) = read::<u64>(map + 8) else { return };
    let Some([buckets, old]) = read::<[u64; 2]>(map + 16) else { return };
    let log2 = head >> 8 & 0xff;
    if buckets == 0 {
        return;
    }
    if log2 > 4 {
        count(Counter::HeadersCut);
    }
    let last = (1u64 << (log2 & 31)) - 1;
    unrolled!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
        if I <= last {
            hmap_chain(buckets + I * (OVERFLOW + 8), found);
        }
    });
    if old == 0 {
        return;
    }
    // While the map grows, entries not yet moved lie in the old buckets: half as many, or as many if it only compacts
    // (runtime/map_noswiss.go, sameSizeGrow is 8).
    let last = if head & 8 != 0 { last } else { last >> 1 };
    if last > 7 {
        count(Counter::HeadersCut);
    }
    unrolled!(I in [0 1 2 3 4 5 6 7] {
        if I <= last {
            hmap_chain(old + I * (OVERFLOW + 8), found);
        }
    });
}

/// A bucket and one more of its chain.
#[inline(never)]
fn hmap_chain(bucket: u64, found: &mut Found) {
    let next = hmap_bucket(bucket, found);
    if next != 0 && hmap_bucket(next, found) != 0 {
        count(Counter::HeadersCut);
    }
}

/// Scans one bucket; gives the next of its chain. A `tophash` of 5 or more marks a slot that holds something
/// (runtime/map_noswiss.go, minTopHash): all eight at once, the sum's top bit tells.
#[inline(always)]
fn hmap_bucket(bucket: u64, found: &mut Found) -> u64 {
    let Some(top) = read::<u64>(bucket) else { return 0 };
    let full = (((top & !TOPS) + 0x7b7b_7b7b_7b7b_7b7b) | top) & TOPS;
    separate(bucket, full, found);
    read::<u64>(bucket + OVERFLOW).unwrap_or(0)
}

/// 10 or 11, the lengths of the two names.
#[inline(always)]
fn is_wanted_len(len: u64) -> bool {
    len & !1 == 10
}

/// Compares one key: length first, which almost always says no, then its bytes as words.
#[inline(always)]
fn slot(key: u64, len: u64, values: GoString, found: &mut Found) {
    const TRACEPARENT: [u64; 2] = words(b"Traceparent");
    const USER_AGENT: [u64; 2] = words(b"User-Agent");
    if !is_wanted_len(len) {
        return;
    }
    let mut text = [0u64; 2];
    // 10 or 11, in a form whose bounds the verifier sees. Where it cannot be read, the text is zeros and equals nothing.
    read_bytes(text.as_mut_ptr().cast(), 10 + (opaque(len) & 1) as u32, key);
    found.traceparent.take_if(equal(text, TRACEPARENT), values);
    found.user_agent.take_if(equal(text, USER_AGENT), values);
}

impl GoString {
    /// Becomes `other` where `mask` is all ones, without a branch for the verifier to follow.
    #[inline(always)]
    fn take_if(&mut self, mask: u64, other: GoString) {
        self.address |= other.address & mask;
        self.len |= other.len & mask;
    }
}

/// All ones if they are equal, else 0.
#[inline(always)]
fn equal(a: [u64; 2], b: [u64; 2]) -> u64 {
    let differ = (a[0] ^ b[0]) | (a[1] ^ b[1]);
    ((differ | differ.wrapping_neg()) >> 63).wrapping_sub(1)
}

/// A key of up to 16 bytes as two words, as the probe reads them.
const fn words(text: &[u8]) -> [u64; 2] {
    let mut bytes = [0u8; 16];
    let mut i = 0;
    while i < text.len() {
        bytes[i] = text[i];
        i += 1;
    }
    let value = u128::from_le_bytes(bytes);
    [value as u64, (value >> 64) as u64]
}

/// The first of a header's values, if it has any.
#[inline(always)]
pub fn first(values: GoString) -> Option<GoString> {
    if values.len == 0 || values.address == 0 {
        return None;
    }
    read(values.address)
}
