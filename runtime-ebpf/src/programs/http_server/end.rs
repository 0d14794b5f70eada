//! A request ends, and the agent knows its beginning.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use runtime_ebpf::{
    http_server::{
        END_WINDOW, LastFields,
        counters::Counter,
        records::{
            ENDED_CLIENT, ENDED_LARGE_SLOTS, ENDED_PATTERN, ENDED_SLOT_COUNT, ENDED_SLOTS, Ended, KIND_ENDED,
            KIND_ENDED_LARGE,
        },
    },
    record::{ABSENT, Head},
};

use super::{count, flight::Flight};
use crate::{
    enter::Hit,
    read::{GoString, known, read},
    ring,
    texts::{MISSING, Window, fill, string_in},
};

/// The least that a reservation for an end has.
pub const SMALL_BYTES: usize = size_of::<Ended>() + ENDED_SLOTS[0] + ENDED_SLOTS[1];
const LARGE_BYTES: usize = size_of::<Ended>() + ENDED_LARGE_SLOTS[0] + ENDED_LARGE_SLOTS[1];
const _: () = assert!(ENDED_SLOTS[0] + ENDED_SLOTS[1] >= END_WINDOW && ENDED_SLOT_COUNT == 2);

/// What is picked out of the Request as it is at the end.
#[derive(Clone, Copy)]
pub struct Last {
    pub pattern: GoString,
    /// [`MISSING`] where it is still the peer's.
    pub client: GoString,
}

/// How a request has ended.
#[derive(Clone, Copy)]
pub struct Ending {
    pub status: u32,
    /// One of the `HOW_` constants.
    pub how: u8,
    /// The `*http.Request` whose last words count; 0: nobody knows it.
    pub request: u64,
}

/// Sends the end. The caller has compared what proves that the entry's pointers are alive. `ending` may read into the
/// [`SMALL_BYTES`] that it is given.
#[inline(always)]
pub fn send(hit: &Hit, fields: &LastFields, flight: &Flight, ending: impl Fn(*mut u8) -> Ending) {
    let end_ns = now();
    let Some(mut small) = ring::reserve(SMALL_BYTES) else {
        count(hit, Counter::EndUnsent);
        return;
    };
    let base = small.as_mut_ptr();
    let Ending { status, how, request } = ending(base);
    // The Request's end is read into where the strings will stand, and picked apart there.
    // SAFETY: the slots have room for the window (asserted above).
    let last = last(fields, flight, request, unsafe { base.add(size_of::<Ended>()) });
    if last.pattern.fits(ENDED_SLOTS[ENDED_PATTERN]) && last.client.fits(ENDED_SLOTS[ENDED_CLIENT]) {
        write_head(hit, base, flight, KIND_ENDED, SMALL_BYTES as u32, end_ns);
        write(base, flight.response, status, how);
        write_strings(base, &ENDED_SLOTS, &last);
        ring::submit(small);
        return;
    }
    ring::discard(small);
    let Some(mut large) = ring::reserve(LARGE_BYTES) else {
        count(hit, Counter::EndUnsent);
        return;
    };
    let base = large.as_mut_ptr();
    write_head(hit, base, flight, KIND_ENDED_LARGE, LARGE_BYTES as u32, end_ns);
    write(base, flight.response, status, how);
    write_strings(base, &ENDED_LARGE_SLOTS, &last);
    ring::submit(large);
}

/// Sends an end of which nothing is known but that it is one, and perhaps its `peer`: no pointer of the entry is followed.
#[inline(always)]
pub fn send_blind(hit: &Hit, flight: &Flight, status: u32, how: u8, peer: GoString) {
    let end_ns = now();
    let Some(mut record) = ring::reserve(SMALL_BYTES) else {
        count(hit, Counter::EndUnsent);
        return;
    };
    let base = record.as_mut_ptr();
    write_head(hit, base, flight, KIND_ENDED, SMALL_BYTES as u32, end_ns);
    write(base, flight.response, status, how);
    write_strings(base, &ENDED_SLOTS, &Last { pattern: MISSING, client: peer });
    ring::submit(record);
}

#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: plain helper call.
    unsafe { bpf_ktime_get_ns() }
}

/// Reads `RemoteAddr` and the pattern, in one piece if that can be; `scratch` has room for [`END_WINDOW`] bytes.
#[inline(always)]
pub fn last(fields: &LastFields, flight: &Flight, request: u64, scratch: *mut u8) -> Last {
    if request == 0 {
        return Last { pattern: MISSING, client: MISSING };
    }
    let window = Window::<END_WINDOW>::read(scratch, request, fields.from, fields.bytes);
    let (remote, mut pattern, pat) = if window.ok() {
        (
            window.string(fields.remote_addr),
            window.string(fields.pattern),
            window.word(fields.pat).unwrap_or(0),
        )
    } else {
        // The struct's end may lie on a page that was never touched: what was never written is empty.
        (
            string_in(request, fields.remote_addr),
            string_in(request, fields.pattern),
            known(request, fields.pat).and_then(read::<u64>).unwrap_or(0),
        )
    };
    if pat != 0 {
        pattern = string_in(pat, fields.pattern_str);
    }
    let is_peer = remote.address == flight.peer_address && remote.len == flight.peer_len as u64;
    Last { pattern, client: if is_peer { MISSING } else { remote } }
}

/// Writes what every record begins with.
#[inline(always)]
pub fn write_head(hit: &Hit, base: *mut u8, flight: &Flight, kind: u16, len: u32, end_ns: u64) {
    // SAFETY: every reservation is at least a Head long and aligned to 8.
    let head = unsafe { &mut *base.cast::<Head>() };
    head.library = flight.library;
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
        let last = flight.trace_flags as u64 | (flight.parent as u64) << 8;
        (&raw mut head.trace_flags).cast::<u64>().write_volatile(last);
    }
}

#[inline(always)]
pub fn write(base: *mut u8, response: u64, status: u32, how: u8) {
    // SAFETY: the reservation is at least an Ended long.
    let ended = unsafe { &mut *base.cast::<Ended>() };
    ended.response = response;
    ended.status = status;
    ended.how = how;
    // Not as an array, which LLVM would make a call of.
    macro_rules! zeros {
        ($($i:literal)+) => { $( ended.reserved[$i] = 0; )+ };
    }
    zeros!(0 1 2);
}

#[inline(always)]
pub fn write_strings(base: *mut u8, slots: &[usize; ENDED_SLOT_COUNT], last: &Last) {
    // SAFETY: the reservation has an Ended and both slots.
    unsafe {
        let first = base.add(size_of::<Ended>());
        let ended = base.cast::<Ended>();
        let pattern = fill(first, slots[ENDED_PATTERN], last.pattern);
        (*ended).lens[ENDED_PATTERN] = pattern;
        let client = fill(first.add(slots[ENDED_PATTERN]), slots[ENDED_CLIENT], last.client);
        (*ended).lens[ENDED_CLIENT] = client;
    }
    const _: () = assert!(ABSENT == u32::MAX);
}
