//! The in-flight table of all libraries that serve HTTP: one entry for each goroutine that does, open while a request is served, idle
//! between two. HTTP/1.x serves a connection on one goroutine, HTTP/2 each stream on its own, and the kernel's `g` is used again.
//!
//! Whoever follows a pointer that an entry keeps has compared its generation, its goroutine's id and one live word before.
//! An entry belongs to its goroutine: nobody else writes to it while its process lives, so it needs no lock.

use core::mem::MaybeUninit;

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap},
};
use runtime_ebpf::{
    abi::{HTTP_SERVER_TABLE, SHARES},
    http_server::{DEFAULT_ENTRIES, IN_FLIGHT_BYTES, counters::Counter},
};

use super::count;
pub use crate::in_flight::Key;
use crate::{current, enter::Hit, ids::Identity, in_flight, read::put};

/// The agent sets the real size at load. Preallocated.
#[map]
static HTTP_SERVER_FLIGHT: HashMap<Key, Flight> = HashMap::with_max_entries(DEFAULT_ENTRIES, 0);
/// 0: entries that programs have made, less those that they removed; 1: those that the agent has swept.
#[map]
static HTTP_SERVER_USE: Array<u64> = Array::with_max_entries(2, 0);

/// Size of the table; set at load.
#[unsafe(no_mangle)]
static HTTP_SERVER_ENTRIES: u64 = DEFAULT_ENTRIES as u64;

/// Bytes of the peer's address that an entry keeps: any IPv4 address with its port.
pub const KEPT_PEER: usize = 24;

/// A goroutine that serves, and its request while one is open.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Flight {
    /// The process's, when the entry was written.
    pub generation: u32,
    /// `OPEN` and the other bits below; how it ended in the highest byte, for `whole`.
    pub state: u32,
    pub goid: u64,
    /// The open request's `*response` (HTTP/2: `*responseWriter`), or the last one's.
    pub response: u64,
    /// The struct that the request is where it begins.
    pub request: u64,
    pub conn: u64,
    /// HTTP/1.x: `conn.bufr`. HTTP/2: the `*http.Request` that `serverHandler.ServeHTTP` was given, if it was.
    pub extra: u64,
    /// The connection's remote address, a string.
    pub peer_address: u64,
    pub peer_len: u32,
    pub trace_flags: u8,
    pub parent: u8,
    /// Code of the library that serves the request.
    pub library: u16,
    pub start_ns: u64,
    pub trace_id: [u64; 2],
    pub span_id: u64,
    pub parent_span_id: u64,
    /// The text of the remote address, if it fits.
    pub peer: [u64; KEPT_PEER / 8],
    /// HTTP/1.x: the connection, for [`crate::senders`]; 0: nobody has asked yet.
    pub link: u64,
}

const WORDS: usize = 17;
const _: () = assert!(size_of::<Flight>() == IN_FLIGHT_BYTES && size_of::<Flight>() == 8 * WORDS);

/// A request is open.
pub const OPEN: u32 = 1;
/// It is recorded.
pub const SAMPLED: u32 = 2;
/// The agent has its beginning.
pub const ANNOUNCED: u32 = 4;
/// `start` has left the rest of the beginning to `fields`.
pub const PENDING: u32 = 8;
/// It was found to be unsampled before its goroutine was asked for its id: `goid` and what hangs on it are of an earlier one.
pub const UNASKED: u32 = 16;
/// Its text has a `tracestate`.
pub const STATED: u32 = 32;
/// Where `how` stands in `state`.
pub const HOW_SHIFT: u32 = 24;

impl Flight {
    #[inline(always)]
    pub fn has(&self, bits: u32) -> bool {
        self.state & bits != 0
    }

    /// Becomes another goroutine's, or another generation's: nothing of what it kept is known any more.
    #[inline(always)]
    pub fn hand_over(&mut self, generation: u32, goid: u64) {
        self.generation = generation;
        self.goid = goid;
        put(&mut self.conn, 0);
        put(&mut self.extra, 0);
        put(&mut self.peer_address, 0);
        put(&mut self.peer_len, 0);
        put(&mut self.link, 0);
    }

    #[inline(always)]
    pub fn set_identity(&mut self, identity: &Identity, parent: u8) {
        self.trace_id = identity.trace_id;
        self.span_id = identity.span_id;
        self.parent_span_id = identity.parent_span_id;
        self.trace_flags = identity.trace_flags;
        self.parent = parent;
    }
}

/// An entry of the table.
pub type Entry = in_flight::Entry<Flight>;

/// The goroutine's entry, of whatever generation.
#[inline(always)]
pub fn find(key: &Key) -> Option<Entry> {
    Entry::find(&HTTP_SERVER_FLIGHT, key)
}

/// The goroutine's entry, if it is of this process's generation.
#[inline(always)]
pub fn live(hit: &Hit, key: &Key) -> Option<Entry> {
    find(key).filter(|entry| entry.get().generation == hit.process().generation)
}

/// Makes the goroutine's entry. `None`: there is no room, which is counted.
#[inline(always)]
pub fn make(hit: &Hit, key: &Key) -> Option<Entry> {
    const BLANK: u64 = 0;
    let mut blank = MaybeUninit::<Flight>::uninit();
    let word = blank.as_mut_ptr().cast::<u64>();
    macro_rules! words {
        ($($i:literal)+) => { $(
            // SAFETY: a Flight is WORDS words long (asserted above). One by one: LLVM makes a loop over bytes of an array.
            unsafe { word.add($i).write_volatile(BLANK) };
        )+ };
    }
    words!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    // SAFETY: plain integers, all of them written.
    let blank = unsafe { blank.assume_init_ref() };
    if hit.process().entries[HTTP_SERVER_TABLE] >= share()
        || HTTP_SERVER_FLIGHT.insert(key, blank, 0).is_err()
    {
        count(hit, Counter::FlightFull);
        return None;
    }
    hit.add_entries(HTTP_SERVER_TABLE, 1);
    add_use(1);
    find(key)
}

/// The request has ended: the entry stays, idle, unless many do.
#[inline(always)]
pub fn rest(hit: &Hit, key: &Key, mut entry: Entry) {
    entry.get_mut().state = 0;
    if hit.asks_for_parents() {
        current::close(hit);
    }
    if is_crowded(hit) {
        give_way(hit, key);
    }
}

/// The stream has ended, and its goroutine with it: the entry stays for the next one on the same `g`, which mostly comes soon, unless
/// the process has more than a few.
#[inline(always)]
pub fn leave(hit: &Hit, key: &Key, mut entry: Entry) {
    entry.get_mut().state = 0;
    if hit.asks_for_parents() {
        current::close(hit);
    }
    if hit.process().entries[HTTP_SERVER_TABLE] > entries() / 32 || is_crowded(hit) {
        give_way(hit, key);
    }
}

#[inline(always)]
fn give_way(hit: &Hit, key: &Key) {
    count(hit, Counter::GaveWay);
    remove(hit, key);
}

/// Nothing is kept any more.
#[inline(always)]
pub fn remove(hit: &Hit, key: &Key) {
    if hit.asks_for_parents() {
        current::forget(hit);
    }
    if HTTP_SERVER_FLIGHT.remove(key).is_ok() {
        hit.add_entries(HTTP_SERVER_TABLE, -1);
        add_use(-1);
    }
}

/// Something else ends than what is kept: it is forgotten, and counted.
#[inline(always)]
pub fn mismatch(hit: &Hit, key: &Key, kept: &Flight) {
    count(hit, Counter::Mismatch);
    if kept.has(SAMPLED) && !kept.has(ANNOUNCED) {
        count(hit, Counter::MismatchUnannounced);
    }
    remove(hit, key);
}

#[inline(always)]
fn entries() -> u64 {
    // SAFETY: a static of this object that the loader sets before the program runs.
    unsafe { core::ptr::read_volatile(&HTTP_SERVER_ENTRIES) }
}

/// What one process may have of the table.
#[inline(always)]
fn share() -> u64 {
    entries() / SHARES
}

/// Above three quarters of the table, or of the process's share, idle entries give way.
#[inline(always)]
fn is_crowded(hit: &Hit) -> bool {
    let limit = entries() / 4 * 3;
    in_flight::used(&HTTP_SERVER_USE) > limit || hit.process().entries[HTTP_SERVER_TABLE] > limit / SHARES
}

#[inline(always)]
fn add_use(more: i64) {
    in_flight::add_use(&HTTP_SERVER_USE, more);
}
