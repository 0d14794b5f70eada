//! The in-flight tables of the libraries that call over HTTP, one for each: one entry for each goroutine that has made a round trip, open
//! while one is under way, idle between two. Nothing that an entry keeps is followed.

use core::mem::MaybeUninit;

use aya_ebpf::maps::{Array, HashMap};
use runtime_ebpf::{
    http_client::{File, IN_FLIGHT_BYTES, counters::Counter},
    libraries::Library,
    record::Head,
};

pub use crate::in_flight::Key;
use crate::{count::count_of, enter::Hit, ids::Identity, in_flight};

/// A library whose calls these are: its line in the programs' table, and its maps.
pub trait Client {
    const LIBRARY: Library;

    /// By file index.
    fn files() -> &'static Array<File>;
    /// What is in flight. Preallocated; the agent sets the real size at load.
    fn flight() -> &'static HashMap<Key, Flight>;
    /// Word 0: entries that programs have made, less those that they removed; 1: those that the agent has swept.
    fn uses() -> &'static Array<u64>;
    /// Size of the table; set at load.
    fn entries() -> u64;
}

/// A goroutine, and its round trip while one is open.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Flight {
    /// The process's, when the entry was written.
    pub generation: u32,
    /// `OPEN` and the other bits below.
    pub state: u32,
    pub goid: u64,
    /// `Request.Header`, which every copy of the request shares: an address to compare, never followed.
    pub header: u64,
    pub start_ns: u64,
    pub trace_id: [u64; 2],
    pub span_id: u64,
    pub parent_span_id: u64,
    /// Trace flags, and the parent's kind in the second byte.
    pub flags: u64,
    /// What the file's addresses are less than the process's.
    pub bias: u64,
    /// The stack pointer where it began.
    pub stack: u64,
    /// The `*Request`: an address to compare, as above.
    pub request: u64,
    /// Where its function returns to: a call within it has a caller that returns there.
    pub back_to: u64,
}

const WORDS: usize = 13;
const _: () = assert!(size_of::<Flight>() == IN_FLIGHT_BYTES && size_of::<Flight>() == 8 * WORDS);

/// A round trip is open.
pub const OPEN: u32 = 1;
/// It is recorded, and the agent has its beginning.
pub const SAMPLED: u32 = 2;
/// An attempt has failed: this was the end unless it is tried again.
pub const FAILED: u32 = 4;
/// Another library makes the round trip in its name: the other's end is its end.
pub const HANDED_ON: u32 = 8;

impl Flight {
    #[inline(always)]
    pub fn has(&self, bits: u32) -> bool {
        self.state & bits != 0
    }

    #[inline(always)]
    pub fn set_identity(&mut self, identity: &Identity, parent: u8) {
        self.trace_id = identity.trace_id;
        self.span_id = identity.span_id;
        self.parent_span_id = identity.parent_span_id;
        self.flags = identity.trace_flags as u64 | (parent as u64) << 8;
    }
}

/// An entry of a table.
pub type Entry = in_flight::Entry<Flight>;

/// The goroutine's entry, of whatever generation.
#[inline(always)]
pub fn find<C: Client>(key: &Key) -> Option<Entry> {
    Entry::find(C::flight(), key)
}

/// The goroutine's entry, if a round trip of this process is open there. Whose id the goroutine had then is not asked.
#[inline(always)]
pub fn open<C: Client>(hit: &Hit) -> Option<Entry> {
    let generation = hit.process().generation;
    find::<C>(&Key::of(hit)).filter(|entry| entry.get().generation == generation && entry.get().has(OPEN))
}

/// Makes the goroutine's entry. `None`: there is no room, which is counted.
#[inline(always)]
pub fn make<C: Client>(hit: &Hit, key: &Key) -> Option<Entry> {
    const BLANK: u64 = 0;
    let mut blank = MaybeUninit::<Flight>::uninit();
    let word = blank.as_mut_ptr().cast::<u64>();
    macro_rules! words {
        ($($i:literal)+) => { $(
            // SAFETY: a Flight is WORDS words long (asserted above). One by one: LLVM makes a loop over bytes of an array.
            unsafe { word.add($i).write_volatile(BLANK) };
        )+ };
    }
    words!(0 1 2 3 4 5 6 7 8 9 10 11 12);
    // SAFETY: plain integers, all of them written.
    let blank = unsafe { blank.assume_init_ref() };
    if C::flight().insert(key, blank, 0).is_err() {
        count(hit, Counter::FlightFull);
        return None;
    }
    in_flight::add_use(C::uses(), 1);
    find::<C>(key)
}

/// The round trip has ended: the entry stays, idle, unless many do.
#[inline(always)]
pub fn rest<C: Client>(hit: &Hit, mut entry: Entry) {
    entry.get_mut().state = 0;
    if in_flight::used(C::uses()) > C::entries() / 4 * 3 {
        count(hit, Counter::GaveWay);
        remove::<C>(&Key::of(hit));
    }
}

/// What is kept is of no use any more.
#[inline(always)]
pub fn remove<C: Client>(key: &Key) {
    if C::flight().remove(key).is_ok() {
        in_flight::add_use(C::uses(), -1);
    }
}

/// Adds one to a counter that all of these libraries have, of the one whose hit it is.
#[inline(always)]
pub fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}

/// Writes what every record begins with.
#[inline(always)]
pub fn write_head(hit: &Hit, base: *mut u8, flight: &Flight, kind: u16, len: u32, end_ns: u64) {
    // SAFETY: every reservation is at least a Head long and aligned to 8.
    let head = unsafe { &mut *base.cast::<Head>() };
    head.library = hit.library;
    head.kind = kind;
    head.len = len;
    head.tgid = hit.tgid;
    head.generation = flight.generation;
    head.start_ns = flight.start_ns;
    head.end_ns = end_ns;
    // SAFETY: byte arrays at multiples of 8 in a repr(C) struct (pinned by a test): word stores.
    unsafe {
        let ids = (&raw mut head.trace_id).cast::<u64>();
        ids.write_volatile(flight.trace_id[0]);
        ids.add(1).write_volatile(flight.trace_id[1]);
        (&raw mut head.span_id).cast::<u64>().write_volatile(flight.span_id);
        (&raw mut head.parent_span_id).cast::<u64>().write_volatile(flight.parent_span_id);
        // Flags, the parent's kind and zeros, in one.
        (&raw mut head.trace_flags).cast::<u64>().write_volatile(flight.flags);
    }
}
