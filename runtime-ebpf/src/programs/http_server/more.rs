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
};

use super::{count, end::write_head, flight::Flight};
use crate::{
    enter::Hit,
    headers::{FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, Found, Name, TRACESTATE},
    read::{GoString, forget, opaque, read_result},
    ring,
};

const BYTES: usize = size_of::<Headers>() + offset(HEADERS_SLOT_COUNT);

/// Where a slot begins behind the fixed part.
const fn offset(slot: usize) -> usize {
    let (mut offset, mut i) = (0, 0);
    while i < slot {
        offset += HEADERS_SLOTS[i];
        i += 1;
    }
    offset
}

/// Sends what was found. `tracestate` counts behind a valid `traceparent` alone (W3C, 3.3).
#[inline(always)]
pub fn send(hit: &Hit, flight: &Flight, walk: &MapWalk, found: &mut Found, has_parent: bool) {
    const FORWARDING: [Name; 4] = [FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO];
    if !found.has_any(&FORWARDING) && !(has_parent && found.has_any(&[TRACESTATE])) {
        return;
    }
    let Some(mut record) = ring::reserve(BYTES) else {
        return count(hit, Counter::HeadersUnsent);
    };
    let base = record.as_mut_ptr();
    write_head(hit, base, flight, KIND_HEADERS, BYTES as u32, 0);
    // SAFETY: the reservation is at least a Headers long.
    let fixed = unsafe { &mut *base.cast::<Headers>() };
    fixed.response = flight.response;
    fixed.reserved = 0;
    macro_rules! strings {
        ($($slot:ident: $text:expr;)+) => { $(
            // SAFETY: the slot lies within the reservation.
            let to = unsafe { base.add(size_of::<Headers>() + const { offset($slot) }) };
            fixed.lens[$slot] = copy(to, HEADERS_SLOTS[$slot], $text);
        )+ };
    }
    strings! {
        HEADERS_TRACESTATE: if has_parent { found.only(TRACESTATE, walk) } else { GoString { address: 0, len: 0 } };
        HEADERS_FORWARDED: found.first_of(FORWARDED, walk);
        HEADERS_FORWARDED_FOR: found.first_of(FORWARDED_FOR, walk);
        HEADERS_FORWARDED_HOST: found.first_of(FORWARDED_HOST, walk);
        HEADERS_FORWARDED_PROTO: found.first_of(FORWARDED_PROTO, walk);
    }
    ring::submit(record);
}

/// Copies up to `capacity` bytes of a string; gives its length, 0 if it could not be read. As `fill`, with fewer branches for the
/// verifier to follow.
#[inline(always)]
fn copy(to: *mut u8, capacity: usize, text: GoString) -> u32 {
    // SAFETY: the slot is longer, and written next.
    let (address, full_len) = unsafe { (forget(to.cast(), text.address), forget(to.cast(), text.len)) };
    let mut len = opaque(full_len);
    if len > capacity as u64 {
        len = capacity as u64;
    }
    // 0, or a negative number.
    let failed = (read_result(to, len as u32, address) >> 63) as u32;
    full_len as u32 & 0x7fff_ffff & !failed
}
