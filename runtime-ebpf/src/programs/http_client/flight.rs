//! The in-flight tables of the libraries that call over HTTP, one for each: one entry for each goroutine that has made a round trip, open
//! while one is under way, idle between two. Nothing that an entry keeps is followed.

use aya_ebpf::maps::Array;
use runtime_ebpf::{
    http_client::{File, IN_FLIGHT_BYTES, counters::Counter},
    libraries::Library,
};

pub use crate::in_flight::{Key, find};
use crate::{
    count::count_of,
    enter::Hit,
    in_flight::{self, Span, Table, begins_with_span},
    senders,
};

/// A library whose calls these are: its line in the programs' table, and its maps.
pub trait Client: Table<Entry = Flight> {
    const LIBRARY: Library;

    /// By file index.
    fn files() -> &'static Array<File>;
}

/// A goroutine, and its round trip while one is open.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Flight {
    pub span: Span,
    /// `Request.Header`, which every copy of the request shares: an address to compare, never followed.
    pub header: u64,
    /// What the file's addresses are less than the process's.
    pub bias: u64,
    /// How deep in the stack it began ([`Hit::depth`]).
    pub depth: u64,
    /// The `*Request`: an address to compare, as above.
    pub request: u64,
    /// Where its function returns to: a call within it has a caller that returns there.
    pub back_to: u64,
    /// The data word of the request's context: an address to compare, as above.
    pub context: u64,
    /// The connection that it is sent over, if that has one request at a time; 0: none.
    pub link: u64,
}

begins_with_span!(Flight);

const _: () = assert!(size_of::<Flight>() == IN_FLIGHT_BYTES);

/// A round trip is open.
pub const OPEN: u32 = 1;
/// It is recorded, and the agent has its beginning.
pub const SAMPLED: u32 = 2;
/// An attempt has failed: this was the end unless it is tried again.
pub const FAILED: u32 = 4;
/// Another library makes the round trip in its name: the other's end is its end.
pub const HANDED_ON: u32 = 8;

/// An entry of a table.
pub type Entry = in_flight::Entry<Flight>;

/// The goroutine's entry, if a round trip of this process is open there. Whose id the goroutine had then is not asked.
#[inline(always)]
pub fn open<C: Client>(hit: &Hit) -> Option<Entry> {
    let generation = hit.process().generation;
    find::<C>(&Key::of(hit)).filter(|entry| entry.get().generation == generation && entry.get().has(OPEN))
}

/// Makes the goroutine's entry. `None`: there is no room, which is counted.
#[inline(always)]
pub fn make<C: Client>(hit: &Hit, key: &Key) -> Option<Entry> {
    let made = in_flight::make::<C>(hit, key);
    if made.is_none() {
        count(hit, Counter::FlightFull);
    }
    made
}

/// The round trip has ended: the entry stays, idle, unless many do.
#[inline(always)]
pub fn rest<C: Client>(hit: &Hit, mut entry: Entry) {
    let ended = entry.get_mut();
    ended.state = 0;
    if ended.link != 0 {
        senders::end(ended.link, 0, ended.span_id);
    }
    if in_flight::is_crowded::<C>(hit) {
        count(hit, Counter::GaveWay);
        remove::<C>(hit, &Key::of(hit));
    }
}

/// What is kept is of no use any more.
#[inline(always)]
pub fn remove<C: Client>(hit: &Hit, key: &Key) {
    // Nothing may have been kept.
    let _ = in_flight::remove::<C>(hit, key);
}

/// Adds one to a counter that all of these libraries have, of the one whose hit it is.
#[inline(always)]
pub fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}
