//! The in-flight table of gRPC's client. An RPC is in its goroutine's entry until it has a `*clientStream`, and then in one of that
//! stream's, which any goroutine may end: whoever removes it has ended it. The goroutine's entry stays, with the RPC's ids, for its attempts.

use runtime_ebpf::{
    grpc::{
        DEFAULT_ENTRIES,
        client::{IN_FLIGHT_BYTES, STREAM_AT},
    },
    libraries::grpc_client::counters::Counter,
};

pub use crate::in_flight::{Key, remove};
use crate::{
    count::count_of,
    enter::Hit,
    in_flight::{self, Span, begins_with_span, table},
    read::sign,
};
pub use runtime_ebpf::grpc::client::BOUND;

/// The library's.
pub struct Client;

table! {
    Client GRPC_CLIENT_TABLE Flight, DEFAULT_ENTRIES, gives_way;
    GRPC_CLIENT_FLIGHT GRPC_CLIENT_BLANK GRPC_CLIENT_USE GRPC_CLIENT_ENTRIES
}

/// An RPC.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Flight {
    pub span: Span,
    /// The `*ClientConn`: an address to compare, as the next.
    pub conn: u64,
    /// The `*clientStream`, once it is known.
    pub stream: u64,
    /// What the file's addresses are less than the process's.
    pub bias: u64,
    /// How deep in its goroutine's stack the RPC began.
    pub depth: u64,
    /// The `*http2Client` of the attempt that is about to be sent: it is followed, where it has the very table that stands in a register.
    pub transport: u64,
}

begins_with_span!(Flight);

const _: () = assert!(size_of::<Flight>() == IN_FLIGHT_BYTES);
const _: () = assert!(core::mem::offset_of!(Flight, stream) == STREAM_AT);

/// An RPC is open that is recorded, and the agent has its beginning; it has no stream yet.
pub const OPEN: u32 = 1;
/// An RPC has begun that is not recorded; it has no stream yet.
pub const UNRECORDED: u32 = 4;

/// An attempt of it is about to be sent, recorded or not: the goroutine's entry has its ids.
pub const PASSED_ON: u32 = 8;

/// An entry of the table.
pub type Entry = in_flight::Entry<Flight>;

/// The goroutine's entry; `None`: there is no room, which is counted.
#[inline(always)]
pub fn enter(hit: &Hit, key: &Key) -> Option<Entry> {
    let entry = in_flight::find::<Client>(key).or_else(|| in_flight::make::<Client>(hit, key));
    if entry.is_none() {
        count(hit, Counter::FlightFull);
    }
    entry
}

/// The entry, of this process's generation.
#[inline(always)]
pub fn live(hit: &Hit, key: &Key) -> Option<Entry> {
    in_flight::find::<Client>(key).filter(|entry| entry.get().generation == hit.process().generation)
}

/// The RPC is in the stream's entry from now on. `false`: there is no room.
#[inline(always)]
pub fn hand_over(hit: &Hit, flight: &mut Flight, stream: u64) -> bool {
    flight.stream = stream;
    flight.state = BOUND | PASSED_ON;
    in_flight::copy::<Client>(hit, &Key::at(hit, stream), flight)
}

/// The RPC that is being made where the stack pointer is, on this goroutine, and has one of these bits: that of its entry or, where that one has begun
/// deeper or is through, the one that was being made meanwhile and was put aside.
#[inline(always)]
pub fn own(hit: &Hit, stack: u64, bits: u32) -> Option<(Key, Entry)> {
    let (goid, depth) = (hit.goid()?, hit.depth(stack));
    let is_own = |entry: &Entry| {
        let flight = entry.get();
        flight.has(bits) && flight.goid == goid && sign(flight.depth.wrapping_sub(depth)) != 0
    };
    let key = Key::of(hit);
    if let Some(entry) = live(hit, &key).filter(is_own) {
        return Some((key, entry));
    }
    let key = aside(hit);
    let entry = live(hit, &key).filter(is_own)?;
    Some((key, entry))
}

/// Where the RPC is that a goroutine is making while it makes another one, deeper in its stack: credentials, pickers and stats handlers may ask a
/// service of their own. A `g` lies at a multiple of eight.
#[inline(always)]
pub fn aside(hit: &Hit) -> Key {
    Key::at(hit, hit.goroutine | 1)
}

/// The goroutine's entry has no RPC any more: it stays, idle, unless many do.
#[inline(always)]
pub fn rest(hit: &Hit, key: &Key, flight: &mut Flight) {
    flight.state = 0;
    if in_flight::is_crowded::<Client>(hit) {
        count(hit, Counter::GaveWay);
        // It was there just now.
        let _ = remove::<Client>(hit, key);
    }
}

/// The attempt has been sent, as far as the programs see it. The entry stays for the next one and for a failure, unless many do.
#[inline(always)]
pub fn passed_on(hit: &Hit, key: &Key, flight: &mut Flight) {
    if in_flight::is_crowded::<Client>(hit) {
        rest(hit, key, flight);
    } else {
        flight.state &= BOUND;
    }
}

/// Adds one to a counter.
#[inline(always)]
pub fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}
