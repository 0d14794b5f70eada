//! The in-flight table of gRPC's server: one entry for each goroutine that handles a stream, open meanwhile, idle between two. An entry
//! belongs to its goroutine. Nothing that it keeps is followed.

use runtime_ebpf::{
    counters::Counter as Core,
    grpc::{DEFAULT_ENTRIES, server::IN_FLIGHT_BYTES},
    libraries::grpc_server::counters::Counter,
};

use crate::{
    count::{count as count_core, count_of},
    current,
    enter::Hit,
    in_flight::{self, Key, Span, begins_with_span, table},
};

/// The library's.
struct Server;

table! {
    Server GRPC_SERVER_TABLE Flight, DEFAULT_ENTRIES;
    GRPC_SERVER_FLIGHT GRPC_SERVER_BLANK GRPC_SERVER_USE GRPC_SERVER_ENTRIES
}

/// A goroutine, and its RPC while one is open.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Flight {
    pub span: Span,
    /// The stream: an address to compare, never followed.
    pub stream: u64,
    /// What the file's addresses are less than the process's.
    pub bias: u64,
}

begins_with_span!(Flight);

const _: () = assert!(size_of::<Flight>() == IN_FLIGHT_BYTES);

/// An RPC is open.
pub const OPEN: u32 = 1;
/// It is recorded, and the agent has its beginning.
pub const SAMPLED: u32 = 2;

/// An entry of the table.
pub type Entry = in_flight::Entry<Flight>;

/// The goroutine's entry for an RPC that begins, of which [`crate::current`] still says what was open before: the caller tells it of the new one, or
/// that there is none ([`lose`]). `None`: another attachment of this program has begun it already, or there is no room,
/// which is counted.
#[inline(always)]
pub fn enter(hit: &Hit, key: &Key, goid: u64, stream: u64) -> Option<Entry> {
    let generation = hit.process().generation;
    let mut entry = match in_flight::find::<Server>(key) {
        Some(entry) => entry,
        None => match in_flight::make::<Server>(hit, key) {
            Some(made) => made,
            None => {
                count(hit, Counter::FlightFull);
                return None;
            }
        },
    };
    let flight = entry.get_mut();
    if flight.generation == generation && flight.has(OPEN) {
        if flight.goid == goid && flight.stream == stream {
            count_core(Core::Doubled);
            return None;
        }
        count(hit, Counter::Replaced);
    }
    flight.generation = generation;
    flight.state = 0;
    flight.library = hit.library;
    flight.goid = goid;
    flight.stream = stream;
    Some(entry)
}

/// The goroutine's entry, of this process's generation.
#[inline(always)]
pub fn live(hit: &Hit, key: &Key) -> Option<Entry> {
    in_flight::find::<Server>(key).filter(|entry| entry.get().generation == hit.process().generation)
}

/// The RPC has ended: the entry stays, idle, unless many do.
#[inline(always)]
pub fn rest(hit: &Hit, key: &Key, mut entry: Entry) {
    entry.get_mut().state = 0;
    if hit.asks_for_parents() {
        current::close(hit);
    }
    if in_flight::is_crowded::<Server>(hit) {
        count(hit, Counter::GaveWay);
        remove(hit, key);
    }
}

/// The RPC's beginning cannot be written down. What was open on the goroutine before is not either: none of its ends was seen.
#[inline(always)]
pub fn lose(hit: &Hit, counter: Counter) {
    count(hit, counter);
    if hit.asks_for_parents() {
        current::close(hit);
    }
}

/// What is kept is of no use any more.
#[inline(always)]
pub fn remove(hit: &Hit, key: &Key) {
    if hit.asks_for_parents() {
        current::forget(hit);
    }
    // Nothing may have been kept.
    let _ = in_flight::remove::<Server>(hit, key);
}

/// Adds one to a counter.
#[inline(always)]
pub fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}
