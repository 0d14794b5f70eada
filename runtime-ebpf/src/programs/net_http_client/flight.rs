//! The in-flight table: one entry for each goroutine that has made a round trip, open while one is under way, idle between two.
//!
//! An entry belongs to its goroutine: nobody else writes to it while its process lives, so it needs no lock. Nothing that it
//! keeps is followed.

use core::{mem::MaybeUninit, ptr::NonNull};

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap},
};
use runtime_ebpf::net_http_client::{DEFAULT_ENTRIES, IN_FLIGHT_BYTES, counters::Counter};

use super::count;
use crate::{
    enter::{Hit, atomic_add},
    ids::Identity,
    whole_key::WholeKey as _,
};

/// The agent sets the real size at load. Preallocated.
#[map]
static NET_HTTP_CLIENT_FLIGHT: HashMap<Key, Flight> = HashMap::with_max_entries(DEFAULT_ENTRIES, 0);
/// 0: entries that programs have made, less those that they removed; 1: those that the agent has swept.
#[map]
static NET_HTTP_CLIENT_USE: Array<u64> = Array::with_max_entries(2, 0);

/// Size of the table; set at load.
#[unsafe(no_mangle)]
static NET_HTTP_CLIENT_ENTRIES: u64 = DEFAULT_ENTRIES as u64;

/// Whose entry.
#[repr(C)]
pub struct Key {
    goroutine: u64,
    tgid: u64,
}

impl Key {
    #[inline(always)]
    pub fn of(hit: &Hit) -> Self {
        Self { goroutine: hit.goroutine, tgid: hit.tgid as u64 }
    }
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
    /// The stack pointer where it began: a call within it stands below.
    pub stack: u64,
    /// The `*Request`: an address to compare, as above.
    pub request: u64,
}

const WORDS: usize = 12;
const _: () = assert!(size_of::<Flight>() == IN_FLIGHT_BYTES && size_of::<Flight>() == 8 * WORDS);

/// A round trip is open.
pub const OPEN: u32 = 1;
/// It is recorded, and the agent has its beginning.
pub const SAMPLED: u32 = 2;
/// An attempt has failed: this was the end unless net/http tries again.
pub const FAILED: u32 = 4;

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

/// An entry of the table, which is the running goroutine's alone.
#[derive(Clone, Copy)]
pub struct Entry(NonNull<Flight>);

impl Entry {
    #[inline(always)]
    pub fn get(&self) -> &'static Flight {
        // SAFETY: `find` had the pointer from the map; an entry of the running goroutine is removed by that goroutine alone.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub fn get_mut(&mut self) -> &'static mut Flight {
        // SAFETY: as above; the goroutine has one hit at a time.
        unsafe { self.0.as_mut() }
    }
}

/// The goroutine's entry, of whatever generation.
#[inline(always)]
pub fn find(key: &Key) -> Option<Entry> {
    NonNull::new(NET_HTTP_CLIENT_FLIGHT.get_ptr_mut(key)?).map(Entry)
}

/// Makes the goroutine's entry. `None`: there is no room, which is counted.
#[inline(always)]
pub fn make(key: &Key) -> Option<Entry> {
    const BLANK: u64 = 0;
    let mut blank = MaybeUninit::<Flight>::uninit();
    let word = blank.as_mut_ptr().cast::<u64>();
    macro_rules! words {
        ($($i:literal)+) => { $(
            // SAFETY: a Flight is WORDS words long (asserted above). One by one: LLVM makes a loop over bytes of an array.
            unsafe { word.add($i).write_volatile(BLANK) };
        )+ };
    }
    words!(0 1 2 3 4 5 6 7 8 9 10 11);
    // SAFETY: plain integers, all of them written.
    let blank = unsafe { blank.assume_init_ref() };
    if NET_HTTP_CLIENT_FLIGHT.insert(key, blank, 0).is_err() {
        count(Counter::FlightFull);
        return None;
    }
    add_use(1);
    find(key)
}

/// The round trip has ended: the entry stays, idle, unless many do.
#[inline(always)]
pub fn rest(key: &Key, mut entry: Entry) {
    entry.get_mut().state = 0;
    if used() > entries() / 4 * 3 {
        count(Counter::GaveWay);
        remove(key);
    }
}

/// What is kept is of no use any more.
#[inline(always)]
pub fn remove(key: &Key) {
    if NET_HTTP_CLIENT_FLIGHT.remove(key).is_ok() {
        add_use(-1);
    }
}

#[inline(always)]
fn entries() -> u64 {
    // SAFETY: a static of this object that the loader sets before the program runs.
    unsafe { core::ptr::read_volatile(&NET_HTTP_CLIENT_ENTRIES) }
}

/// Entries that there are.
#[inline(always)]
fn used() -> u64 {
    let made = NET_HTTP_CLIENT_USE.get_at(0).copied().unwrap_or(0);
    let swept = NET_HTTP_CLIENT_USE.get_at(1).copied().unwrap_or(0);
    made.wrapping_sub(swept)
}

#[inline(always)]
fn add_use(more: i64) {
    if let Some(word) = NET_HTTP_CLIENT_USE.at(0) {
        atomic_add(word.as_ptr(), more);
    }
}
