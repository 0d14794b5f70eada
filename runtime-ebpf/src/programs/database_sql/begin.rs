//! An operation begins, or is tried again. What is known of the call is written into the goroutine's entry; a program that all go on in gives
//! it its span, and another one sends that: the verifier follows each part once, and not once for each way to it.

use aya_ebpf::{helpers::bpf_ktime_get_ns, maps::ring_buf::RingBufBytes};
use runtime_ebpf::{
    counters::Counter as Core,
    database_sql::{
        CONNECTOR_WINDOW, File, Start,
        counters::Counter,
        records::{
            BEGAN_ADDRESS, BEGAN_DATABASE, BEGAN_LARGE_SLOTS, BEGAN_NETWORK, BEGAN_QUERY, BEGAN_SLOT_COUNT,
            BEGAN_SLOTS, Began, KIND_BEGAN, KIND_BEGAN_LARGE, KIND_RESUMED,
        },
    },
    record::{Head, PARENT_LOCAL},
};

use super::{
    flight::{
        self, BAD, Entry, Flight, Key, LEFT, MOST_TRIES, OPEN, PENDING, RETRIED, SAMPLED, Sql, WITHIN, count,
        find,
    },
    which::{Which, which},
};
use crate::{
    count::count as count_core,
    enter::Hit,
    ids, in_flight,
    parent::{self, Context, Parent},
    read::{GoString, opaque},
    ring,
    stack::is_called_below,
    texts::{excess, fill_next},
};

const SMALL_BYTES: usize = size_of::<Began>() + total(&BEGAN_SLOTS);
const LARGE_BYTES: usize = size_of::<Began>() + total(&BEGAN_LARGE_SLOTS);
// What says which database it is is read to where the strings will stand.
const _: () = assert!(SMALL_BYTES >= size_of::<Began>() + CONNECTOR_WINDOW);

const fn total(slots: &[usize; BEGAN_SLOT_COUNT]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < BEGAN_SLOT_COUNT {
        sum += slots[i];
        i += 1;
    }
    sum
}

/// A call.
#[derive(Clone, Copy)]
pub struct Call {
    /// What it asks for.
    pub operation: usize,
    /// The `*sql.DB`.
    pub database: u64,
    pub context: Context,
    pub query: GoString,
    /// Where its function returns to.
    pub back_to: u64,
}

/// Where a call stands on its goroutine's stack.
#[derive(Clone, Copy)]
pub struct Place {
    /// How deep ([`Hit::depth`]).
    pub depth: u64,
    /// The stack pointer.
    pub stack: u64,
    /// The record of its caller's frame.
    pub frame: u64,
    /// Where its function returns to.
    pub back_to: u64,
}

/// Functions between an operation and another that its driver makes which are looked through.
const MOST_FRAMES: u32 = 24;

/// A statement that there is none of. LLVM would make a call of zeros that it knows of.
#[inline(always)]
pub fn no_query() -> GoString {
    GoString { address: opaque(0), len: opaque(0) }
}

/// The operation begins, unless it is one that is tried again; `bias` is what the file's addresses are less than the process's. Whether
/// [`record`] has to follow.
#[inline(always)]
pub fn begin(hit: &Hit, start: &Start, bias: u64, call: &Call, place: Place) -> bool {
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let key = Key::of(hit);
    let Some(goid) = hit.goid() else {
        count(Counter::Unreadable);
        flight::remove(hit, &key);
        return false;
    };
    let may_be_retried = may_be_retried(start, bias, call);
    let may_be_again = may_be_retried && start.retries_itself == 0;
    let Some((mut entry, mut before)) = enter(hit, &key, goid, may_be_again, call) else { return false };
    let mut state = if may_be_retried { PENDING | RETRIED } else { PENDING };
    if entry.get().has(OPEN) {
        let stack_end = place.depth.wrapping_add(place.stack);
        let is_within = |open: &Flight| {
            let top = stack_end.wrapping_sub(open.depth);
            open.goid == goid && is_called_below::<MOST_FRAMES>(place.frame, open.back_to, top)
        };
        flight::unwind(hit, |open| !is_within(open));
        let Some(open) = find::<Sql>(&key) else { return false };
        entry = open;
        (state, before) = beside(hit, state, entry.get_mut(), is_within);
    }
    let flight = entry.get_mut();
    flight.library = hit.library;
    flight.own = call.operation as u32;
    flight.state = state;
    flight.depth = place.depth;
    flight.back_to = place.back_to;
    flight.goid = goid;
    flight.start_ns = start_ns;
    flight.bias = bias;
    flight.database = call.database;
    flight.context = call.context.data;
    flight.context_itab = call.context.itab;
    flight.query = call.query.address;
    flight.query_len = call.query.len;
    flight.before = before;
    true
}

/// The state of an operation that begins while another one is open on its goroutine, and the span there that has no end.
#[inline(always)]
fn beside(hit: &Hit, state: u32, open: &mut Flight, is_within: impl Fn(&Flight) -> bool) -> (u32, u64) {
    let span_id = if open.has(SAMPLED) { open.span_id } else { 0 };
    if open.has(BAD) {
        return (state, span_id);
    }
    if !is_within(open) {
        count(Counter::Replaced);
        return (state, span_id);
    }
    let left = if open.has(LEFT) { open.before } else { 0 };
    open.state &= !LEFT;
    match flight::lay_aside(hit, open) {
        Some(level) => {
            count(Counter::Within);
            (state | level, left)
        }
        None => (state | WITHIN, span_id),
    }
}

/// The operation in the goroutine's entry, if the program before this one has left one.
#[inline(always)]
fn pending(hit: &Hit) -> Option<&'static mut Flight> {
    let mut entry = find::<Sql>(&Key::of(hit))?;
    let flight = entry.get_mut();
    flight.has(PENDING).then_some(flight)
}

/// Gives the operation in the goroutine's entry its span. Whether [`announce`] has to follow.
#[inline(always)]
pub fn record(hit: &Hit) -> bool {
    let Some(flight) = pending(hit) else { return false };
    let (goid, bias, start_ns) = (again(&flight.goid), again(&flight.bias), again(&flight.start_ns));
    let context = Context { itab: again(&flight.context_itab), data: again(&flight.context) };
    let mut parent = parent::find(hit, goid, bias, context);
    if let Some(outer) = flight::around(hit, flight) {
        // Its driver's operation is below it, unless its context, or a span that the driver has made, says otherwise.
        let found = parent.trace.map_or(0, |trace| trace.span_id);
        if found == 0 || found == outer.parent_span_id || found == flight::outermost_parent(hit) {
            parent = Parent { trace: Some(outer.as_parent()), kind: PARENT_LOCAL };
        }
    }
    let identity = ids::identify(hit, start_ns, parent.trace);
    flight.set_identity(&identity, parent.kind);
    if identity.is_sampled() {
        return true;
    }
    flight.state = flight.state & !PENDING | OPEN;
    count(Counter::Unsampled);
    false
}

/// Sends its beginning.
#[inline(always)]
pub fn announce(hit: &Hit, file: &File) {
    let Some(flight) = pending(hit) else { return };
    flight.state &= !PENDING;
    let bias = again(&flight.bias);
    let Some(mut record) = ring::reserve(SMALL_BYTES) else { return count(Counter::BeginningLost) };
    let which = which(file, bias, again(&flight.database), slots_of(record.as_mut_ptr()));
    if send(hit, flight, &which, record) {
        flight.state |= OPEN | SAMPLED;
    }
}

/// The word of an entry, of which LLVM knows nothing.
#[inline(always)]
fn again(word: &u64) -> u64 {
    // SAFETY: a reference is valid to read.
    unsafe { core::ptr::from_ref(word).read_volatile() }
}

/// Whether it is made again when its connection is bad.
#[inline(always)]
fn may_be_retried(start: &Start, bias: u64, call: &Call) -> bool {
    if start.is_retried == 0 {
        return false;
    }
    let from = call.back_to.wrapping_sub(bias);
    let places = start.retry_vaddrs.iter().zip(&start.retry_bytes);
    let is_from = places.fold(false, |is, (vaddr, bytes)| is | (from.wrapping_sub(*vaddr) < *bytes as u64));
    start.retry_vaddrs[0] == 0 || is_from
}

/// The goroutine's entry for an operation that begins; and, if nothing is open there, the span of one that ended by a panic within the last.
/// `None`: it is tried again, or there is no room, which is counted.
#[inline(always)]
fn enter(hit: &Hit, key: &Key, goid: u64, may_be_again: bool, call: &Call) -> Option<(Entry, u64)> {
    let generation = hit.process().generation;
    let Some(mut entry) = find::<Sql>(key) else {
        let made = in_flight::make::<Sql>(hit, key);
        if made.is_none() {
            count(Counter::FlightFull);
        }
        let mut made = made?;
        made.get_mut().generation = generation;
        return Some((made, 0));
    };
    let old = entry.get_mut();
    if old.generation != generation {
        old.generation = generation;
        old.state = 0;
        return Some((entry, 0));
    }
    if !old.has(OPEN) {
        let left = if old.has(LEFT) { old.before } else { 0 };
        return Some((entry, left));
    }
    if old.has(BAD) && may_be_again && old.goid == goid && is_again(old, call) {
        resume(hit, old);
        return None;
    }
    Some((entry, 0))
}

/// Whether it is the same operation as the one whose connection was bad.
#[inline(always)]
fn is_again(old: &Flight, call: &Call) -> bool {
    old.operation() == call.operation as u32
        && old.tries() < MOST_TRIES
        && old.database == call.database
        && old.context == call.context.data
        && old.query == call.query.address
        && old.query_len == call.query.len
}

#[inline(always)]
fn resume(hit: &Hit, flight: &mut Flight) {
    flight.state &= !BAD;
    count(Counter::Resumed);
    if !flight.has(SAMPLED) {
        return;
    }
    let Some(mut record) = ring::reserve(size_of::<Head>()) else { return };
    flight.write_head(hit, record.as_mut_ptr(), KIND_RESUMED, size_of::<Head>() as u32, 0);
    ring::submit(record);
}

/// Where the strings stand, and a connector before them.
#[inline(always)]
fn slots_of(base: *mut u8) -> *mut u8 {
    // SAFETY: every reservation here is longer than a Began.
    unsafe { base.add(size_of::<Began>()) }
}

/// Sends the beginning. Whether there was room.
#[inline(always)]
fn send(hit: &Hit, flight: &Flight, which: &Which, mut record: RingBufBytes<'static>) -> bool {
    let query = GoString { address: again(&flight.query), len: again(&flight.query_len) };
    if fits(query, which) {
        let base = record.as_mut_ptr();
        flight.write_head(hit, base, KIND_BEGAN, SMALL_BYTES as u32, 0);
        write(base, flight, which);
        write_strings(base, &BEGAN_SLOTS, query, which);
        count(Counter::Started);
        ring::submit(record);
        return true;
    }
    ring::discard(record);
    let Some(mut large) = ring::reserve(LARGE_BYTES) else {
        count(Counter::BeginningLost);
        return false;
    };
    let base = large.as_mut_ptr();
    flight.write_head(hit, base, KIND_BEGAN_LARGE, LARGE_BYTES as u32, 0);
    write(base, flight, which);
    write_strings(base, &BEGAN_LARGE_SLOTS, query, which);
    count(Counter::Started);
    ring::submit(large);
    true
}

#[inline(always)]
fn fits(query: GoString, which: &Which) -> bool {
    let excess = excess(query, BEGAN_SLOTS[BEGAN_QUERY])
        | excess(which.address, BEGAN_SLOTS[BEGAN_ADDRESS])
        | excess(which.database, BEGAN_SLOTS[BEGAN_DATABASE])
        | excess(which.network, BEGAN_SLOTS[BEGAN_NETWORK]);
    excess == 0
}

#[inline(always)]
fn write(base: *mut u8, flight: &Flight, which: &Which) {
    // SAFETY: the reservation is at least a Began long, and the fields lie at multiples of their sizes.
    unsafe {
        let began = base.cast::<Began>();
        (&raw mut (*began).before_span_id).cast::<u64>().write_volatile(again(&flight.before));
        let is_within = (flight.state / WITHIN & 1) as u64;
        let first = flight.operation() as u64 | which.form << 8 | which.system << 16 | is_within << 24;
        (&raw mut (*began).operation).cast::<u32>().write_volatile(first as u32);
        (&raw mut (*began).port).write_volatile(which.port as u32);
    }
}

#[inline(always)]
fn write_strings(base: *mut u8, sizes: &[usize; BEGAN_SLOT_COUNT], query: GoString, which: &Which) {
    let mut slot = slots_of(base);
    let mut failed = 0;
    macro_rules! strings {
        ($($which:ident: $text:expr;)+) => { $(
            // SAFETY: the reservation has a Began and all slots.
            unsafe {
                let len = fill_next(slot, sizes[$which], $text, &mut failed);
                (&raw mut (*base.cast::<Began>()).lens[$which]).write_volatile(len);
                slot = slot.add(sizes[$which]);
            }
        )+ };
    }
    strings! {
        BEGAN_QUERY: query;
        BEGAN_ADDRESS: which.address;
        BEGAN_DATABASE: which.database;
        BEGAN_NETWORK: which.network;
    }
    let _ = slot;
    if failed < 0 {
        count_core(Core::ReadFault);
    }
}
