//! Finds headers in `net/http.Header` and gRPC's `metadata.MD`, a `map[string][]string`, by walking it: its hash is seeded, so there is no
//! look-up.
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

use core::{marker::PhantomData, mem::MaybeUninit};

use runtime_ebpf::{
    abi::{HEADERS_HMAP, HEADERS_SWISS, MapWalk},
    counters::Counter,
};

use crate::{
    count::count,
    header_names::{Name, Names, PLACE_BITS, bits, digest, place},
    read::{GoString, forget, is_some, opaque, read, read_result},
};

/// One of a slice of strings.
#[inline(always)]
pub fn one_of<N>(values: GoString, index: u64, found: &mut Found<N>) -> GoString {
    string(values.address + 16 * index, found)
}

/// Where the map has the wanted headers: a number of nine bits for each, by its [`Name::place`]; 0: it is not there.
#[repr(C)]
pub struct Found<N> {
    places: u64,
    first: u64,
    old: u64,
    /// Not 0 if anything could not be read.
    failed: u64,
    /// Not 0 if a chain goes on beyond what is walked.
    cut: u64,
    zero: u64,
    names: PhantomData<N>,
}

/// Numbers of the buckets: the map's, the next ones of their chains, and the same of the old ones.
const CHAINED: u64 = 16;
const OLD: u64 = 32;
const OLD_CHAINED: u64 = 40;
const _: () = assert!((OLD_CHAINED + 8) * 8 < 1 << PLACE_BITS);

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
pub unsafe fn find<N: Names>(map: u64, walk: &MapWalk, scratch: *mut u64) -> Found<N> {
    // SAFETY: the caller's, here and below.
    let unknown = |number| unsafe { forget(scratch, number) };
    let mut found = Found {
        places: unknown(0),
        first: unknown(0),
        old: unknown(0),
        failed: unknown(0),
        cut: unknown(0),
        zero: unknown(0),
        names: PhantomData,
    };
    let (first, last, old, old_last) = match walk.kind {
        _ if map == 0 => return found,
        HEADERS_SWISS => swiss(map),
        HEADERS_HMAP => hmap(map),
        _ => return found,
    };
    let (first, last, old, old_last) = (unknown(first), unknown(last), unknown(old), unknown(old_last));
    (found.first, found.old) = (first, old);
    if first != 0 {
        buckets(first, last, walk, &mut found);
    }
    if old != 0 {
        old_buckets(old, old_last, walk, &mut found);
    }
    // 16 and 8 are walked.
    found.cut |= last >> 4 | old_last >> 3;
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
fn buckets<N: Names>(first: u64, last: u64, walk: &MapWalk, found: &mut Found<N>) {
    unrolled!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
        if I > last {
            return;
        }
        bucket(first + I * walk.stride as u64, I << 32 | I + CHAINED, walk, found);
    });
}

#[inline(never)]
fn old_buckets<N: Names>(first: u64, last: u64, walk: &MapWalk, found: &mut Found<N>) {
    unrolled!(I in [0 1 2 3 4 5 6 7] {
        if I > last {
            return;
        }
        bucket(first + I * walk.stride as u64, I + OLD << 32 | I + OLD_CHAINED, walk, found);
    });
}

/// A group; or a bucket and one more of its chain. `numbers`: its own, and in the lower half that of the next one.
#[inline(never)]
fn bucket<N: Names>(bucket: u64, numbers: u64, walk: &MapWalk, found: &mut Found<N>) {
    let last = slots(bucket, numbers >> 32, walk, found);
    if walk.overflow == 0 || last == EMPTY_REST {
        return;
    }
    let next = word(bucket + walk.overflow as u64, found);
    if next == 0 {
        return;
    }
    if slots(next, numbers & 0xffff_ffff, walk, found) != EMPTY_REST {
        found.cut |= word(next + walk.overflow as u64, found);
    }
}

/// The `tophash` of a bucket's last slot if no bucket of the chain behind it holds anything (runtime/map_noswiss.go, emptyRest). Go
/// does not look there then, and nor do we: the pointer to the next bucket may lie in a page that nobody has written to, of which the
/// kernel has nothing yet and a read of it fails.
const EMPTY_REST: u64 = 0;

/// Looks at the slots of a group or bucket that hold something: those whose control byte is below 0x80, or whose `tophash` is
/// 5 or more (runtime/map_noswiss.go, minTopHash): all eight at once, the sum's top bit tells. Gives the last slot's.
#[inline(never)]
fn slots<N: Names>(bucket: u64, number: u64, walk: &MapWalk, found: &mut Found<N>) -> u64 {
    let control = word(bucket, found);
    let full = if walk.kind == HEADERS_SWISS {
        !control
    } else {
        ((control & !TOPS) + 0x7b7b_7b7b_7b7b_7b7b) | control
    };
    unrolled!(I in [0 1 2 3 4 5 6 7] {
        if full >> (8 * I) & 0x80 != 0 {
            let key = string(bucket + KEYS + I * walk.key_stride as u64, found);
            if is_wanted_len::<N>(key.len) {
                slot(key, number * 8 + I + 1, found);
            }
        }
    });
    control >> 56
}

/// Of 64 bytes and more, a few are too: comparing them tells.
#[inline(always)]
fn is_wanted_len<N: Names>(len: u64) -> bool {
    N::LENS >> (opaque(len) & 63) & 1 != 0
}

/// Compares one key with the name that it can be, and notes its place if it is that.
#[inline(never)]
fn slot<N: Names>(key: GoString, at: u64, found: &mut Found<N>) {
    // As long as the verifier believes that a key may be.
    let mut text = MaybeUninit::<[u64; 4]>::uninit();
    let word = text.as_mut_ptr().cast::<u64>();
    let len = opaque(key.len);
    // Of a length that is wanted, all of it; of one that is as long and 64 or more longer, too little, which is no name.
    let read = opaque(len & 31);
    // SAFETY: four words. One by one: LLVM makes a loop over bytes of an array.
    let text = unsafe {
        word.write_volatile(0);
        word.add(1).write_volatile(0);
        word.add(2).write_volatile(0);
        // Where it cannot be read, the text equals nothing.
        found.note(read_result(word.cast(), read as u32, key.address));
        [
            word.read_volatile() | N::FOLD,
            word.add(1).read_volatile() | N::FOLD,
            word.add(2).read_volatile() | N::FOLD,
        ]
    };
    let place = opaque(place(digest(text, len), N::MULTIPLIER)) & 7;
    // SAFETY: the mask leaves the eight names, of four words each.
    let name = unsafe { N::BY_PLACE.as_ptr().add(place as usize).cast::<u64>() };
    // SAFETY: as above.
    let wanted = |i| unsafe { name.add(i).read_volatile() };
    let differ = (text[0] ^ wanted(0)) | (text[1] ^ wanted(1)) | (text[2] ^ wanted(2)) | (len ^ wanted(3));
    // Not added to what stands there: while somebody changes the map, a name may be seen twice, and two places would name a third.
    let (is_it, shift) = (none(differ), place * PLACE_BITS);
    found.places &= !((((1 << PLACE_BITS) - 1) & is_it) << shift);
    found.places |= (at & is_it) << shift;
}

impl<N> Found<N> {
    /// Notes what a read gave, without a branch: 0 if it went well.
    #[inline(always)]
    pub fn note(&mut self, result: i64) {
        self.failed |= result as u64;
    }
}

/// A word of the target; zeros where it cannot be read, which is noted.
#[inline(always)]
fn word<N>(address: u64, found: &mut Found<N>) -> u64 {
    let mut value = MaybeUninit::<u64>::uninit();
    found.note(read_result(value.as_mut_ptr().cast(), 8, address));
    // SAFETY: the helper fills all of it, with zeros where it fails.
    unsafe { value.assume_init() }
}

/// The same of two words.
#[inline(always)]
fn string<N>(address: u64, found: &mut Found<N>) -> GoString {
    let mut value = MaybeUninit::<GoString>::uninit();
    found.note(read_result(value.as_mut_ptr().cast(), 16, address));
    // SAFETY: as above.
    unsafe { value.assume_init() }
}

/// All ones for 0, else 0.
#[inline(always)]
fn none(differ: u64) -> u64 {
    is_some(differ).wrapping_sub(1)
}

/// The values of the header at this place, a slice of strings.
#[inline(always)]
fn slice<N>(at: u64, walk: &MapWalk, found: &mut Found<N>) -> GoString {
    let (number, slot) = ((at - 1) >> 3, (at - 1) & 7);
    let is_old = number >> 5 & 1;
    let base = found.first ^ (found.first ^ found.old) & is_old.wrapping_neg();
    let mut bucket = base + (number & 15 >> is_old) * walk.stride as u64;
    if number >> (4 - is_old) & 1 != 0 {
        bucket = word(bucket + walk.overflow as u64, found);
    }
    string(bucket + walk.elems as u64 + slot * walk.elem_stride as u64, found)
}

/// The first of a header's values; zeros if it has none, or more than `most`.
#[inline(never)]
fn value<N>(at: u64, most: u64, walk: &MapWalk, found: &mut Found<N>) -> GoString {
    // Of which the verifier knows as little as of what is read.
    let nothing = GoString { address: found.zero, len: found.zero };
    if at == 0 {
        return nothing;
    }
    let values = slice(at, walk, found);
    if values.address == 0 || values.len > most {
        return nothing;
    }
    string(values.address, found)
}

/// All of them; zeros if it has none. Not what `value` begins with, which would cost the verifier twice as much.
#[inline(never)]
fn values<N>(at: u64, walk: &MapWalk, found: &mut Found<N>) -> GoString {
    if at == 0 {
        return GoString { address: found.zero, len: found.zero };
    }
    slice(at, walk, found)
}

impl<N: Names> Found<N> {
    #[inline(always)]
    fn at(&self, name: Name) -> u64 {
        self.places >> (name.place::<N>() * PLACE_BITS) & ((1 << PLACE_BITS) - 1)
    }

    /// Counts what could not be read or walked. Last of all: the verifier follows each branch to the program's end.
    #[inline(always)]
    pub fn count_failures(&self) {
        if self.cut != 0 {
            count(Counter::HeadersCut);
        }
        if self.failed != 0 {
            count(Counter::ReadFault);
        }
    }

    /// Whether one of these headers is there.
    #[inline(always)]
    pub fn has_any(&self, names: &[Name]) -> bool {
        self.places & bits::<N>(names) != 0
    }

    /// 1 if one of these headers is there, else 0: without a branch.
    #[inline(always)]
    pub fn number_of(&self, names: &[Name]) -> u64 {
        is_some(self.places & bits::<N>(names))
    }

    /// 0 if all of the map was seen, else 1: without a branch.
    #[inline(always)]
    pub fn unseen(&self) -> u64 {
        is_some(self.cut | self.failed)
    }

    /// Forgets these headers unless the number is 0.
    #[inline(always)]
    pub fn keep_if_none(&mut self, names: &[Name], number: u64) {
        self.places &= none(number) | !bits::<N>(names);
    }

    /// The first of a header's values; zeros if it has none.
    #[inline(always)]
    pub fn first_of(&mut self, name: Name, walk: &MapWalk) -> GoString {
        value(self.at(name), u64::MAX, walk, self)
    }

    /// All values of a header, a slice of strings; zeros if it has none.
    #[inline(always)]
    pub fn all_of(&mut self, name: Name, walk: &MapWalk) -> GoString {
        values(self.at(name), walk, self)
    }

    /// The value of a header that may be there but once; zeros if there is none, or several.
    #[inline(always)]
    pub fn only(&mut self, name: Name, walk: &MapWalk) -> GoString {
        value(self.at(name), 1, walk, self)
    }
}
