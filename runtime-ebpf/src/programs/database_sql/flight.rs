//! The table of operations in flight: one entry for each goroutine that has asked a database, open while it waits for the answer, idle
//! between two. Nothing that an entry keeps is followed.
//!
//! An operation that a driver makes while it is asked itself, on the same goroutine, has the entry meanwhile. That of the operation around it is
//! aside, at the goroutine's address and its level: such an address is a multiple of 8, and nobody else's key.

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
    /// The span before it on this goroutine, if that has no end: it is sent with the beginning. With [`LEFT`] the one behind it.
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
/// It was begun within another one, whose place it has taken: there was no room aside.
pub const WITHIN: u32 = 32;
/// `before` is to be sent with the next beginning: an operation within this one has ended without a site, since its driver has panicked.
pub const LEFT: u32 = 64;
/// How many operations are aside, as a number in the state: this one was begun within the last of them.
const LEVEL: u32 = 256;
/// Operations within one another, on one goroutine, but for the outermost.
pub const MOST_LEVELS: u32 = 3;

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

    /// How many operations are aside.
    #[inline(always)]
    pub fn level(&self) -> u32 {
        self.state / LEVEL
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

/// The place of the operation that is aside at this level.
#[inline(always)]
fn aside(hit: &Hit, level: u32) -> Key {
    Key::at(hit, hit.goroutine | level as u64)
}

/// Lays the goroutine's operation aside, for one that begins within it. The state of that one says so; `None`: there is no room.
#[inline(always)]
pub fn lay_aside(hit: &Hit, outer: &Flight) -> Option<u32> {
    let level = outer.level() + 1;
    let has_room = level <= MOST_LEVELS && in_flight::copy::<Sql>(hit, &aside(hit, level), outer);
    has_room.then_some(level * LEVEL)
}

/// The operation that this one was begun within.
#[inline(always)]
pub fn around(hit: &Hit, flight: &Flight) -> Option<&'static mut Flight> {
    let level = flight.level();
    if level == 0 {
        return None;
    }
    let mut entry = find::<Sql>(&aside(hit, level))?;
    let outer = entry.get_mut();
    (outer.generation == flight.generation && outer.goid == flight.goid).then_some(outer)
}

/// The id of the span that the outermost of the goroutine's operations is below, if one is aside; 0: none.
#[inline(always)]
pub fn outermost_parent(hit: &Hit) -> u64 {
    find::<Sql>(&aside(hit, 1)).map_or(0, |entry| entry.get().parent_span_id)
}

/// The operation around this one, which is over, has the goroutine's entry again. Whether there is one.
#[inline(always)]
fn take_back(hit: &Hit, flight: &Flight) -> bool {
    let level = flight.level();
    let Some(outer) = around(hit, flight) else { return false };
    // The entry is there: there is no need for more room.
    let is_back = in_flight::copy::<Sql>(hit, &Key::of(hit), outer);
    remove(hit, &aside(hit, level));
    is_back
}

/// Operations that were begun within another one and are over without an end of their own, since their drivers have panicked say, give way to
/// that one: the agent hears of the outermost with the goroutine's next beginning.
#[inline(always)]
pub fn unwind(hit: &Hit, is_over: impl Fn(&Flight) -> bool) {
    for _ in 0..MOST_LEVELS {
        let Some(entry) = find::<Sql>(&Key::of(hit)) else { return };
        let kept = entry.get();
        if kept.generation != hit.process().generation
            || !kept.has(OPEN)
            || kept.level() == 0
            || !is_over(kept)
        {
            return;
        }
        if kept.has(SAMPLED)
            && let Some(outer) = around(hit, kept)
        {
            outer.state |= LEFT;
            outer.before = kept.span_id;
        }
        if !take_back(hit, kept) {
            return;
        }
    }
}

/// The operation has ended: the entry is that of the one around it again, or stays, idle, unless many do.
#[inline(always)]
pub fn rest(hit: &Hit, mut entry: Entry) {
    let kept = entry.get_mut();
    if take_back(hit, kept) {
        return;
    }
    kept.state &= LEFT;
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
