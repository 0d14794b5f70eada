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
//! (go-binary-format.md (f).) No loops: unrolled, they verify on 5.8, where nested bounded loops are refused. What lies beyond
//! the unrolled part is not walked and counted. Each key is read alone, which costs a read per header: only the slow way comes
//! here, and the verifier follows it in a twentieth of the steps that reads of half a group took.

use core::mem::MaybeUninit;

use runtime_ebpf::{
    abi::{HEADERS_HMAP, HEADERS_SWISS, HEADERS_SWISS_SPLIT},
    counters::Counter,
};

use crate::{
    count::count,
    read::{GoString, opaque, read, read_bytes},
};

/// The values (a `[]string`: address and length) of the wanted headers; zeros when the header is not there.
#[repr(C)]
pub struct Found {
    pub traceparent: GoString,
    pub user_agent: GoString,
}

/// Size of a group, interleaved or split.
const GROUP_BYTES: u64 = 328;
/// The overflow pointer of a bucket, its last word.
const OVERFLOW: u64 = 328;
/// The top bit of each byte.
const TOPS: u64 = 0x8080_8080_8080_8080;

/// Where a group's or bucket's keys and elements are.
#[derive(Clone, Copy)]
struct Layout {
    key_stride: u64,
    elems: u64,
    elem_stride: u64,
}

/// A slot is a key and its element.
const INTERLEAVED: Layout = Layout { key_stride: 40, elems: 24, elem_stride: 40 };
/// Keys stand together, and behind them the elements.
const SEPARATE: Layout = Layout { key_stride: 16, elems: 136, elem_stride: 24 };
/// Behind the control word or the top hashes.
const KEYS: u64 = 8;

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
        HEADERS_SWISS => walk_swiss(map, INTERLEAVED, &mut found),
        HEADERS_SWISS_SPLIT => walk_swiss(map, SEPARATE, &mut found),
        HEADERS_HMAP => walk_hmap(map, &mut found),
        _ => {}
    }
    found
}

#[inline(never)]
fn walk_swiss(map: u64, layout: Layout, found: &mut Found) {
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
        let group = groups + I * GROUP_BYTES;
        let Some(ctrl) = read::<u64>(group) else { return };
        slots(group, !ctrl & TOPS, layout, found);
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
    slots(bucket, full, SEPARATE, found);
    read::<u64>(bucket + OVERFLOW).unwrap_or(0)
}

/// Looks at the full slots of a group or bucket. A function of its own: one body, many calls.
#[inline(never)]
fn slots(group: u64, full: u64, layout: Layout, found: &mut Found) {
    unrolled!(I in [0 1 2 3 4 5 6 7] {
        if full >> (8 * I) & 0x80 != 0
            && let Some(key) = read::<GoString>(group + KEYS + I * layout.key_stride)
            && is_wanted_len(key.len)
        {
            slot(key, group + layout.elems + I * layout.elem_stride, found);
        }
    });
}

/// 10 or 11, the lengths of the two names.
#[inline(always)]
fn is_wanted_len(len: u64) -> bool {
    len & !1 == 10
}

/// Compares one key as words, and takes the element at `elem` if it is wanted.
#[inline(never)]
fn slot(key: GoString, elem: u64, found: &mut Found) {
    const TRACEPARENT: [u64; 2] = words(b"Traceparent");
    const USER_AGENT: [u64; 2] = words(b"User-Agent");
    let mut text = MaybeUninit::<[u64; 2]>::uninit();
    let word = text.as_mut_ptr().cast::<u64>();
    // SAFETY: two words. One by one: LLVM makes a loop over bytes of an array.
    let text = unsafe {
        word.write_volatile(0);
        word.add(1).write_volatile(0);
        // 10 or 11, in a form whose bounds the verifier sees. Where it cannot be read, the text equals nothing.
        read_bytes(word.cast(), 10 + (opaque(key.len) & 1) as u32, key.address);
        [word.read_volatile(), word.add(1).read_volatile()]
    };
    let (traceparent, user_agent) = (equal(text, TRACEPARENT), equal(text, USER_AGENT));
    if traceparent | user_agent == 0 {
        return;
    }
    let Some(values) = read::<GoString>(elem) else { return };
    found.traceparent.take_if(traceparent, values);
    found.user_agent.take_if(user_agent, values);
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
    // Without a branch, which LLVM would make of it if it knew what it is.
    (opaque(differ | differ.wrapping_neg()) >> 63).wrapping_sub(1)
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
