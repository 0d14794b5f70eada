//! What more the header says, behind a beginning whose strings came one by one: most requests have nothing of it.

use runtime_ebpf::{
    abi::MapWalk,
    http_server::{
        counters::Counter,
        records::{
            HEADERS_FORWARDED, HEADERS_FORWARDED_FOR, HEADERS_FORWARDED_HOST, HEADERS_FORWARDED_PROTO,
            HEADERS_SLOT_COUNT, HEADERS_SLOTS, HEADERS_TRACESTATE, Headers, KIND_HEADERS,
        },
    },
    record::PARENT_REMOTE,
};

use super::{count, end::write_head, flight::Flight};
use crate::{
    enter::Hit,
    header_names::{FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, HttpNames, Name, TRACESTATE},
    headers::Found,
    read::GoString,
    ring, texts, tracestate,
};

/// The fixed part and the slots.
pub const BYTES: usize = size_of::<Headers>() + offset(HEADERS_SLOT_COUNT);
/// What a reservation has behind them: the last of several `tracestate` headers reaches beyond its slot, and what lies there is
/// written later.
pub const BEHIND: usize = 2 * TRACESTATE_ROOM - offset(HEADERS_SLOT_COUNT);
const TRACESTATE_ROOM: usize = HEADERS_SLOTS[HEADERS_TRACESTATE];
const _: () = assert!(HEADERS_TRACESTATE == 0);

/// Where a slot begins behind the fixed part.
const fn offset(slot: usize) -> usize {
    let (mut offset, mut i) = (0, 0);
    while i < slot {
        offset += HEADERS_SLOTS[i];
        i += 1;
    }
    offset
}

const FORWARDING: [Name; 4] = [FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO];

/// Whether anything was found that is asked for; the rest is forgotten: `tracestate` counts behind a valid `traceparent` alone (W3C, 3.3).
/// Without a branch, for the verifier's sake.
#[inline(always)]
pub fn is_wanted(hit: &Hit, flight: &Flight, found: &mut Found<HttpNames>) -> bool {
    found.keep_if_none(&[TRACESTATE], (flight.parent ^ PARENT_REMOTE) as u64);
    found.keep_if_none(&FORWARDING, hit.disbelieves_proxies());
    found.has_any(&[TRACESTATE, FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO])
}

/// Sends what was found, if it is asked for.
#[inline(always)]
pub fn send(hit: &Hit, flight: &Flight, walk: &MapWalk, found: &mut Found<HttpNames>) {
    if !is_wanted(hit, flight, found) {
        return;
    }
    let Some(mut record) = ring::reserve(BYTES + BEHIND) else {
        return count(hit, Counter::HeadersUnsent);
    };
    write(hit, record.as_mut_ptr(), flight, walk, found);
    ring::submit(record);
}

/// Writes what was found to `base`, which has room for [`BYTES`] and [`BEHIND`].
#[inline(always)]
pub fn write(hit: &Hit, base: *mut u8, flight: &Flight, walk: &MapWalk, found: &mut Found<HttpNames>) {
    write_head(hit, base, flight, KIND_HEADERS, BYTES as u32, 0);
    // SAFETY: the caller's.
    let fixed = unsafe { &mut *base.cast::<Headers>() };
    fixed.response = flight.response;
    fixed.reserved = 0;
    // SAFETY: as above.
    let slots = unsafe { base.add(size_of::<Headers>()) };
    fixed.lens[HEADERS_TRACESTATE] =
        tracestate::join::<TRACESTATE_ROOM, _>(slots, found.all_of(TRACESTATE, walk), found);
    macro_rules! strings {
        ($($slot:ident: $name:expr;)+) => { $(
            // SAFETY: the slot lies within that room.
            let to = unsafe { slots.add(const { offset($slot) }) };
            fixed.lens[$slot] = copy(to, HEADERS_SLOTS[$slot], found.first_of($name, walk), found);
        )+ };
    }
    strings! {
        HEADERS_FORWARDED: FORWARDED;
        HEADERS_FORWARDED_FOR: FORWARDED_FOR;
        HEADERS_FORWARDED_HOST: FORWARDED_HOST;
        HEADERS_FORWARDED_PROTO: FORWARDED_PROTO;
    }
}

/// Copies up to `capacity` bytes of a string; gives its length, 0 if it could not be read, which is noted. As `fill`, with fewer
/// branches for the verifier to follow.
#[inline(always)]
fn copy(to: *mut u8, capacity: usize, text: GoString, found: &mut Found<HttpNames>) -> u32 {
    let (full_len, result) = texts::copy(to, capacity, text);
    found.note(result);
    // 0, or a negative number.
    let failed = (result >> 63) as u32;
    full_len as u32 & 0x7fff_ffff & !failed
}
