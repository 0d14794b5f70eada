//! The table of operations in flight: one entry for each goroutine that has asked a database, open while it waits for the answer, idle
//! between two. Nothing that an entry keeps is followed.

use aya_ebpf::{macros::map, maps::Array};
use runtime_ebpf::{
    abi::MAX_FILES,
    database_sql::{DEFAULT_ENTRIES, File, IN_FLIGHT_BYTES, counters::Counter},
    libraries::DATABASE_SQL,
};

pub use crate::in_flight::{Key, find};
use crate::{
    count::count_of,
    enter::Hit,
    in_flight::{self, Span, begins_with_span, table},
};

#[map]
pub static DATABASE_SQL_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

/// The library's table.
pub struct Sql;

table! { Sql DATABASE_SQL_TABLE Flight, DEFAULT_ENTRIES; DATABASE_SQL_FLIGHT DATABASE_SQL_BLANK DATABASE_SQL_USE DATABASE_SQL_ENTRIES }

/// A goroutine, and what it asks a database while it does. `span.own` is the operation, and how often it was tried in the second byte.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Flight {
    pub span: Span,
    /// What the file's addresses are less than the process's.
    pub bias: u64,
    /// The `*sql.DB`, as the following an address to compare.
    pub database: u64,
    /// The data word of the context.
    pub context: u64,
    /// Its itab.
    pub context_itab: u64,
    /// Where the statement lies.
    pub query: u64,
    /// How long it is.
    pub query_len: u64,
    /// How deep in the stack it began ([`Hit::depth`]).
    pub depth: u64,
    /// Where its function returns to.
    pub back_to: u64,
    /// The span before it on this goroutine, if that has no end: it is sent with the beginning.
    pub before: u64,
}

begins_with_span!(Flight);

const _: () = assert!(size_of::<Flight>() == IN_FLIGHT_BYTES);

/// An operation is open.
pub const OPEN: u32 = 1;
/// It is recorded, and the agent has its beginning.
pub const SAMPLED: u32 = 2;
/// Its connection was bad: this was the end unless it is tried again.
pub const BAD: u32 = 4;
/// It may be tried again.
pub const RETRIED: u32 = 8;
/// It has begun, and the program behind the one at its start has not yet given it a span.
pub const PENDING: u32 = 16;
/// It was begun within another one, whose place it has taken.
pub const WITHIN: u32 = 32;

/// `(*DB).retry` tries two connections of the pool, and then a new one (database/sql/sql.go, `maxBadConnRetries`).
pub const MOST_TRIES: u32 = 3;

impl Flight {
    #[inline(always)]
    pub fn operation(&self) -> u32 {
        self.own & 0xff
    }

    /// How many tries have ended.
    #[inline(always)]
    pub fn tries(&self) -> u32 {
        self.own >> 8
    }
}

/// An entry of the table.
pub type Entry = in_flight::Entry<Flight>;

/// The goroutine's entry, if an operation of this process is open there that ends at this depth of the stack. One that began deeper was made
/// within the one that ends, and is over without an end: its driver has panicked.
#[inline(always)]
pub fn open(hit: &Hit, depth: u64) -> Option<Entry> {
    let generation = hit.process().generation;
    find::<Sql>(&Key::of(hit)).filter(|entry| {
        let kept = entry.get();
        kept.generation == generation && kept.has(OPEN) && kept.depth <= depth
    })
}

/// The operation has ended: the entry stays, idle, unless many do.
#[inline(always)]
pub fn rest(hit: &Hit, mut entry: Entry) {
    entry.get_mut().state = 0;
    if in_flight::is_crowded::<Sql>(hit) {
        count(Counter::GaveWay);
        remove(hit, &Key::of(hit));
    }
}

/// What is kept is of no use any more.
#[inline(always)]
pub fn remove(hit: &Hit, key: &Key) {
    // Nothing may have been kept.
    let _ = in_flight::remove::<Sql>(hit, key);
}

#[inline(always)]
pub fn count(counter: Counter) {
    count_of(DATABASE_SQL.code, counter as u32);
}
