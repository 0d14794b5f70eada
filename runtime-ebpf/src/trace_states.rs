//! What traces carry beside their ids (`tracestate`), from a request that brings it to those that its process makes for it, where probes may
//! write: kept by trace and process, so that whatever spans lie between need not know of it.
//!
//! Requests of one trace may come to a process with different lists, or without one, and nobody can tell which of them a call belongs to: then
//! none goes on. A list is kept in parts, each of which fits a program's stack. A place is used again at once by the kernel while somebody may
//! be reading it, so a reader compares a number of all that it has read with the one that was kept.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{Array, LruHashMap},
};
use runtime_ebpf::{
    counters::Counter,
    http_server::records::MOST_TRACESTATES,
    record::is_remote,
    trace_state::{LIST_BYTES, LIST_WORDS, begun, mask, mixed},
};

use crate::{
    count::count,
    enter::Hit,
    header_names::Names,
    headers::Found,
    read::{GoString, forget, opaque},
    ring, tracestate,
    whole_key::WholeKey as _,
};

/// Parts over all processes: the agent makes it one where nobody writes.
const PARTS: u32 = 65_536;
/// A program and its functions have 512 bytes of stack together.
const PART_WORDS: usize = 4;
const PART_BYTES: u64 = 8 * PART_WORDS as u64;
const _: () = assert!(LIST_BYTES == 16 * PART_BYTES as usize);
/// What a list is gathered in: the last of several values reaches beyond what goes on.
const SCRATCH_BYTES: usize = 8 + 2 * LIST_BYTES;

/// Whose list.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Key {
    trace_id: [u64; 2],
    process: u64,
    part: u64,
}

impl Key {
    #[inline(always)]
    pub fn of(hit: &Hit, trace_id: [u64; 2]) -> Self {
        Self { trace_id, process: hit.present(), part: 0 }
    }

    /// Nobody's, unless the number is 0.
    #[inline(always)]
    pub fn unless(self, number: u64) -> Self {
        Self { part: number << 32, ..self }
    }

    /// What the number of a list begins with.
    #[inline(always)]
    fn begun(&self, len: u64) -> u64 {
        begun(self.trace_id, self.process, len)
    }
}

#[repr(C)]
struct Part {
    /// Bytes of the whole list; 0: it is not known any more.
    len: u64,
    /// The number of whose it is and of all its words.
    whole: u64,
    words: [u64; PART_WORDS],
}

#[map]
static TRACE_STATES: LruHashMap<Key, Part> = LruHashMap::with_max_entries(PARTS, 0);
/// What is kept of a trace whose list is not known: zeros.
#[map]
static TRACE_STATES_BLANK: Array<Part> = Array::with_max_entries(1, 0);
/// Whether any was ever kept: most machines have none.
#[map]
static TRACE_STATES_KEPT: Array<u64> = Array::with_max_entries(1, 0);

/// Whether there is any to go on.
#[inline(always)]
pub fn are_there() -> bool {
    // SAFETY: the pointer is the map's. Volatile: programs on other processors write to it.
    TRACE_STATES_KEPT.at(0).is_some_and(|kept| unsafe { kept.as_ptr().read_volatile() != 0 })
}

/// Whether a request of another process's span brings what that one's trace carries, or would: those below spans of this process do not.
#[inline(always)]
pub fn concerns(hit: &Hit, parent: u8) -> bool {
    hit.carries() && is_remote(parent)
}

/// A request of this trace has these values of `tracestate`, none of them where it has none.
#[inline(always)]
pub fn note<N: Names>(hit: &Hit, trace_id: [u64; 2], values: GoString, found: &mut Found<N>) {
    if values.len == 0 {
        return note_none(hit, trace_id);
    }
    let key = Key::of(hit, trace_id);
    let mut is_kept = 0;
    if values.len <= MOST_TRACESTATES as u64
        && let Some(mut room) = ring::reserve(SCRATCH_BYTES)
    {
        let scratch = room.as_mut_ptr();
        // SAFETY: behind the first word there is twice the room of a list.
        let len = unsafe { tracestate::join::<LIST_BYTES, _>(scratch.add(8), values, found) };
        if found.unseen() == 0 {
            is_kept = keep(&key, scratch, len as u64);
        }
        ring::discard(room);
    }
    if is_kept == 0 {
        spoil(&key);
        count(Counter::StateNotKept);
    }
}

/// A request of this trace has none: it is not known any more whether a call has one.
#[inline(always)]
pub fn note_none(hit: &Hit, trace_id: [u64; 2]) {
    if are_there() {
        spoil(&Key::of(hit, trace_id));
    }
}

/// The trace's list is not known from now on.
#[inline(always)]
fn spoil(key: &Key) {
    if let Some(part) = TRACE_STATES.get_ptr_mut(key) {
        // SAFETY: the pointer is the map's. Where the place is another trace's by now, that one's list is left out.
        return unsafe { (&raw mut (*part).len).write_volatile(0) };
    }
    let Some(blank) = TRACE_STATES_BLANK.get_at(0) else { return };
    // No place gives way where all were used just now by programs on other processors: another request's list may then go on in this one's calls.
    if TRACE_STATES.insert(key, blank, 0).is_err() {
        count(Counter::StateLost);
    }
}

/// Keeps a list that stands behind the first word of the scratch. 0: it is too long, or the trace has another one.
#[inline(never)]
fn keep(key: &Key, scratch: *mut u8, len: u64) -> u64 {
    // SAFETY: the first word of the scratch, here and below.
    let len = opaque(unsafe { forget(scratch.cast(), len) });
    if len == 0 || len > LIST_BYTES as u64 {
        return 0;
    }
    // SAFETY: behind the first word there is room for a list.
    let text = unsafe { scratch.add(8).cast::<u64>() };
    let mut whole = key.begun(len);
    let mut nth = 0;
    while nth < LIST_WORDS {
        if nth % PART_WORDS as u64 == 0 && 8 * nth >= len {
            break;
        }
        // SAFETY: as above. What lies behind the list is another record's.
        let word = unsafe {
            let place = text.add(nth as usize);
            let mask = mask(len.wrapping_sub(8 * nth), opaque);
            let word = place.read_volatile() & mask | SPACES & !mask;
            place.write_volatile(word);
            word
        };
        whole = mixed(whole, word);
        nth += 1;
    }
    // SAFETY: as above.
    let (len, whole) = unsafe { (forget(scratch.cast(), len), forget(scratch.cast(), whole)) };
    // The others may have given way. The first one last: who finds it finds them.
    let mut is_kept = 1;
    macro_rules! parts {
        ($($part:literal)+) => { $(
            if $part * PART_BYTES < len {
                // SAFETY: as above.
                is_kept &= insert(key, $part, unsafe { text.add($part * PART_WORDS) }, len, whole);
            }
        )+ };
    }
    parts!(15 14 13 12 11 10 9 8 7 6 5 4 3 2 1);
    if let Some(first) = TRACE_STATES.get_ptr(key) {
        // SAFETY: the pointer is the map's. Volatile: somebody else may write to it meanwhile.
        let (of_first, number) = unsafe {
            ((&raw const (*first).len).read_volatile(), (&raw const (*first).whole).read_volatile())
        };
        return (of_first == len && number == whole) as u64 & is_kept;
    }
    is_kept &= insert(key, 0, text, len, whole);
    if !are_there()
        && let Some(kept) = TRACE_STATES_KEPT.at(0)
    {
        // SAFETY: the pointer is the map's.
        unsafe { kept.as_ptr().write_volatile(1) };
    }
    is_kept
}

/// 0: there was no room, or the first part of another list is there meanwhile.
#[inline(never)]
fn insert(key: &Key, part: u64, text: *const u64, len: u64, whole: u64) -> u64 {
    let key = Key { part, ..*key };
    let mut value = core::mem::MaybeUninit::<Part>::uninit();
    let place = value.as_mut_ptr();
    macro_rules! words {
        ($($i:literal)+) => { $(
            // SAFETY: as many as a part has, on both sides. One by one: LLVM would make a call of a loop.
            unsafe { (&raw mut (*place).words[$i]).write_volatile(text.add($i).read_volatile()) };
        )+ };
    }
    words!(0 1 2 3);
    // SAFETY: as above; all of it is written then.
    let value = unsafe {
        (&raw mut (*place).len).write_volatile(len);
        (&raw mut (*place).whole).write_volatile(whole);
        value.assume_init_ref()
    };
    let flags = if part == 0 { BPF_NOEXIST as u64 } else { 0 };
    TRACE_STATES.insert(&key, value, flags).is_ok() as u64
}

const ONES: u64 = 0x0101_0101_0101_0101;
const SPACES: u64 = 0x20 * ONES;
/// The top bit of each byte.
pub const TOPS: u64 = 0x80 * ONES;

/// Copies the trace's list to `to`, which has room for [`LIST_BYTES`] and is aligned to 8, and what [`part`] wants before; gives its length, 0 if it has
/// none, or nobody knows.
#[inline(never)]
pub fn copy(key: &Key, to: *mut u64) -> u64 {
    let Some(first) = TRACE_STATES.get_ptr(key) else { return 0 };
    // SAFETY: the pointer is the map's. Volatile: somebody else may write to it meanwhile.
    let (len, due) =
        unsafe { ((&raw const (*first).len).read_volatile(), (&raw const (*first).whole).read_volatile()) };
    if len == 0 {
        return 0;
    }
    if len > LIST_BYTES as u64 {
        return LOST;
    }
    let mut whole = key.begun(len);
    macro_rules! parts {
        ($($part:literal)+) => { $(
            if $part * PART_BYTES < len {
                // SAFETY: the caller's.
                whole = part(key, $part, unsafe { to.add($part * PART_WORDS) }, whole);
            }
        )+ };
    }
    parts!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    if whole == due { len } else { LOST }
}

/// What [`copy`] gives where a list, or a part of it, has given way.
const LOST: u64 = u64::MAX;

/// Copies a part; gives the number that goes on with it. Of the word two before the list the top bit of a byte is set if there is a character
/// that is not written.
#[inline(never)]
fn part(key: &Key, part: u64, to: *mut u64, whole: u64) -> u64 {
    let key = Key { part: key.part + part, ..*key };
    // A number of which the verifier knows as little as of the other.
    let Some(place) = TRACE_STATES.get_ptr(&key) else { return !whole };
    let (mut whole, mut odd) = (whole, 0);
    macro_rules! words {
        ($($i:literal)+) => { $(
            // SAFETY: as many as a part has, on both sides. Volatile: as above.
            unsafe {
                let word = (&raw const (*place).words[$i]).read_volatile();
                to.add($i).write_volatile(word);
                whole = mixed(whole, word);
                let rubout = word ^ 0x7f * ONES;
                // Below a space, above a tilde: one that is neither may be taken for it behind one that is.
                odd |= word | word.wrapping_sub(SPACES) & !word | rubout.wrapping_sub(ONES) & !rubout;
            }
        )+ };
    }
    words!(0 1 2 3);
    // SAFETY: the caller's.
    unsafe {
        let flag = to.sub(part as usize * PART_WORDS + 2);
        flag.write_volatile(flag.read_volatile() | odd);
    }
    whole
}
