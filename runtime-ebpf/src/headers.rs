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
//! (go-binary-format.md (f).) Groups and buckets are walked alike; where keys and elements stand is the Plan's knowledge. No
//! loops: unrolled, they verify on 5.8, where nested bounded loops are refused. What lies beyond the unrolled part is not walked
//! and counted. Each key is read alone, and a read that fails is no branch (the kernel then gives zeros, which are no header):
//! only the slow way comes here, and the verifier follows it in a tenth of the steps that reads of half a group took.

use core::mem::MaybeUninit;

use runtime_ebpf::{
    abi::{HEADERS_HMAP, HEADERS_SWISS, MapWalk},
    counters::Counter,
};

use crate::{
    count::count,
    read::{GoString, forget, opaque, read, read_result},
};

/// The values (a `[]string`: address and length) of the wanted headers; zeros when the header is not there.
#[repr(C)]
pub struct Found {
    pub traceparent: GoString,
    pub user_agent: GoString,
    /// Not 0 if anything could not be read.
    failed: u64,
    /// Not 0 if a chain goes on beyond what is walked.
    cut: u64,
    zero: u64,
}

/// Keys stand behind the control word or the top hashes.
const KEYS: u64 = 8;
/// The top bit of each byte.
const TOPS: u64 = 0x8080_8080_8080_8080;

macro_rules! unrolled {
    ($i:ident in [$($n:literal)+] $body:block) => { $( { const $i: u64 = $n; $body } )+ };
}

/// Walks the header map at `map`. Numbers go through `scratch`, so that the verifier takes all kinds of maps, and what was found
/// and what was not, for the same state: the walk then costs it a hundredth.
///
/// # Safety
///
/// `scratch` is eight bytes of a record or a map's value that nobody needs yet.
#[inline(always)]
pub unsafe fn find(map: u64, walk: &MapWalk, scratch: *mut u64) -> Found {
    // SAFETY: the caller's, here and below.
    let unknown = |number| unsafe { forget(scratch, number) };
    let zero = || GoString { address: unknown(0), len: unknown(0) };
    let mut found = Found {
        traceparent: zero(),
        user_agent: zero(),
        failed: unknown(0),
        cut: unknown(0),
        zero: unknown(0),
    };
    let (first, last, old, old_last) = match walk.kind {
        _ if map == 0 => return found,
        HEADERS_SWISS => swiss(map),
        HEADERS_HMAP => hmap(map),
        _ => return found,
    };
    let (first, last, old, old_last) = (unknown(first), unknown(last), unknown(old), unknown(old_last));
    if first != 0 {
        buckets(first, last, walk, &mut found);
    }
    if old != 0 {
        old_buckets(old, old_last, walk, &mut found);
    }
    if last > 15 || old_last > 7 || found.cut != 0 {
        count(Counter::HeadersCut);
    }
    if found.failed != 0 {
        count(Counter::ReadFault);
    }
    found
}

/// The first group and the number of the last; there are no old ones. A directory of several tables is cut.
#[inline(always)]
fn swiss(map: u64) -> (u64, u64, u64, u64) {
    const NOTHING: (u64, u64, u64, u64) = (0, 0, 0, 0);
    let Some([dir, dir_len]) = read::<[u64; 2]>(map + 16) else { return NOTHING };
    if dir == 0 || dir_len == 0 {
        return (dir, 0, 0, 0);
    }
    let Some(table) = read::<u64>(dir) else { return NOTHING };
    let Some([first, length_mask]) = read::<[u64; 2]>(table + 16) else { return NOTHING };
    (first, if dir_len > 1 { u64::MAX } else { length_mask }, 0, 0)
}

/// The first bucket and the number of the last, and the same of the old ones: while the map grows, entries not yet moved lie
/// there, in half as many, or as many if it only compacts (runtime/map_noswiss.go, sameSizeGrow is 8).
#[inline(always)]
fn hmap(map: u64) -> (u64, u64, u64, u64) {
    let Some(head) = read::<u64>(map + 8) else { return (0, 0, 0, 0) };
    let Some([buckets, old]) = read::<[u64; 2]>(map + 16) else { return (0, 0, 0, 0) };
    let last = (1u64 << (head >> 8 & 31)) - 1;
    (
        buckets,
        last,
        old,
        if old == 0 {
            0
        } else if head & 8 != 0 {
            last
        } else {
            last >> 1
        },
    )
}

#[inline(never)]
fn buckets(first: u64, last: u64, walk: &MapWalk, found: &mut Found) {
    unrolled!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
        if I > last {
            return;
        }
        bucket(first + I * walk.stride as u64, walk, found);
    });
}

#[inline(never)]
fn old_buckets(first: u64, last: u64, walk: &MapWalk, found: &mut Found) {
    unrolled!(I in [0 1 2 3 4 5 6 7] {
        if I > last {
            return;
        }
        bucket(first + I * walk.stride as u64, walk, found);
    });
}

/// A group; or a bucket and one more of its chain.
#[inline(never)]
fn bucket(bucket: u64, walk: &MapWalk, found: &mut Found) {
    slots(bucket, walk, found);
    if walk.overflow == 0 {
        return;
    }
    let next = word(bucket + walk.overflow as u64, found);
    if next == 0 {
        return;
    }
    slots(next, walk, found);
    found.cut |= word(next + walk.overflow as u64, found);
}

/// Looks at the slots of a group or bucket that hold something: those whose control byte is below 0x80, or whose `tophash` is
/// 5 or more (runtime/map_noswiss.go, minTopHash): all eight at once, the sum's top bit tells.
#[inline(never)]
fn slots(bucket: u64, walk: &MapWalk, found: &mut Found) {
    let control = word(bucket, found);
    let full = if walk.kind == HEADERS_SWISS {
        !control
    } else {
        ((control & !TOPS) + 0x7b7b_7b7b_7b7b_7b7b) | control
    };
    unrolled!(I in [0 1 2 3 4 5 6 7] {
        if full >> (8 * I) & 0x80 != 0 {
            let key = string(bucket + KEYS + I * walk.key_stride as u64, found);
            if is_wanted_len(key.len) {
                slot(key, bucket + walk.elems as u64 + I * walk.elem_stride as u64, found);
            }
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
        found.note(read_result(word.cast(), 10 + (opaque(key.len) & 1) as u32, key.address));
        [word.read_volatile(), word.add(1).read_volatile()]
    };
    let (traceparent, user_agent) = (equal(text, TRACEPARENT), equal(text, USER_AGENT));
    if traceparent | user_agent == 0 {
        return;
    }
    let values = string(elem, found);
    found.traceparent.take_if(traceparent, values);
    found.user_agent.take_if(user_agent, values);
}

impl Found {
    /// Notes what a read gave, without a branch: 0 if it went well.
    #[inline(always)]
    fn note(&mut self, result: i64) {
        self.failed |= result as u64 | self.zero;
    }
}

/// A word of the target; zeros where it cannot be read, which is noted.
#[inline(always)]
fn word(address: u64, found: &mut Found) -> u64 {
    let mut value = MaybeUninit::<u64>::uninit();
    found.note(read_result(value.as_mut_ptr().cast(), 8, address));
    // SAFETY: the helper fills all of it, with zeros where it fails.
    unsafe { value.assume_init() }
}

/// The same of two words.
#[inline(always)]
fn string(address: u64, found: &mut Found) -> GoString {
    let mut value = MaybeUninit::<GoString>::uninit();
    found.note(read_result(value.as_mut_ptr().cast(), 16, address));
    // SAFETY: as above.
    unsafe { value.assume_init() }
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
