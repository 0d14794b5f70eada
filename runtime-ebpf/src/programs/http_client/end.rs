//! A round trip, or an attempt of it, ends.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::ProbeContext};
use runtime_ebpf::{
    counters::Counter as Core,
    http_client::{
        File, RESPONSE_WINDOW, STATUS_UNKNOWN,
        counters::Counter,
        records::{Ended, FAILED_BYTES, Failed, KIND_ENDED, KIND_FAILED, KIND_RESUMED},
    },
    record::Head,
};

use super::flight::{self, Client, Entry, FAILED, Flight, Key, SAMPLED, count};
use crate::{
    count::count as count_core,
    enter::Hit,
    go_error::GoError,
    read::{known, read, try_read},
    registers::GoRegisters,
    ring,
    texts::Window,
};

/// The struct is read to behind what the record holds.
const ENDED_BYTES: usize = size_of::<Ended>() + RESPONSE_WINDOW;

/// How it ended.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// A `*http.Response`.
    Response(u64),
    /// A `*http2.ClientResponse`.
    Http2Response(u64),
    /// The words of an `error`.
    Error { error: u64, data: u64 },
    /// The same, of a call that got no connection: nothing is tried again.
    NoConnection { error: u64, data: u64 },
}

/// Ends the goroutine's round trip.
#[inline(always)]
pub fn finish<C: Client>(ctx: &ProbeContext, hit: &Hit, file: &File, outcome: Outcome) {
    match flight::open::<C>(hit) {
        Some(entry) => close::<C>(ctx, hit, file, entry, outcome),
        None => count(hit, Counter::Unmatched),
    }
}

/// Ends the round trip that is open there.
#[inline(always)]
pub fn close<C: Client>(ctx: &ProbeContext, hit: &Hit, file: &File, mut entry: Entry, outcome: Outcome) {
    let kept = entry.get_mut();
    if is_outer(ctx, hit, kept) {
        return count(hit, Counter::Outer);
    }
    if !kept.has(SAMPLED) {
        if let Outcome::Error { .. } = outcome {
            kept.state |= FAILED;
            return;
        }
        return flight::rest::<C>(hit, entry);
    }
    if hit.goid() != Some(kept.goid) {
        count(hit, Counter::Mismatch);
        return flight::remove::<C>(hit, &Key::of(hit));
    }
    match outcome {
        Outcome::Response(response) => {
            if !send_response(hit, file, kept, response, true) {
                count(hit, Counter::Mismatch);
            }
            flight::rest::<C>(hit, entry);
        }
        Outcome::Http2Response(response) => {
            send_response(hit, file, kept, response, false);
            flight::rest::<C>(hit, entry);
        }
        Outcome::NoConnection { error, data } => {
            send_error(hit, file, kept, error, data, 1);
            flight::rest::<C>(hit, entry);
        }
        Outcome::Error { error, data } => {
            if send_error(hit, file, kept, error, data, 0) {
                kept.state |= FAILED;
            } else {
                // The agent must not take it for a call that sent nothing, when the next one begins here.
                flight::rest::<C>(hit, entry);
            }
        }
    }
}

/// There is a connection for the round trip that is open there. If that has failed already, it is tried again. `false`: it is an outer
/// call's connection, and this one's is not tried again.
#[inline(always)]
pub fn resume<C: Client>(ctx: &ProbeContext, hit: &Hit, mut entry: Entry) -> bool {
    let kept = entry.get_mut();
    if is_outer(ctx, hit, kept) {
        return false;
    }
    if !kept.has(FAILED) {
        return true;
    }
    kept.state &= !FAILED;
    if !kept.has(SAMPLED) {
        return true;
    }
    if hit.goid() != Some(kept.goid) {
        count(hit, Counter::Mismatch);
        flight::remove::<C>(hit, &Key::of(hit));
        return false;
    }
    count(hit, Counter::Resumed);
    let Some(mut record) = ring::reserve(size_of::<Head>()) else { return true };
    kept.write_head(hit, record.as_mut_ptr(), KIND_RESUMED, size_of::<Head>() as u32, 0);
    ring::submit(record);
    true
}

/// Whether the hit is in a function that has called what called the one in which the round trip began. A hook of a call (`httptrace`, a
/// `Proxy` function) can make another, which takes the entry; when that is over without an end, what comes next is the outer one's.
#[inline(always)]
pub fn is_outer(ctx: &ProbeContext, hit: &Hit, kept: &Flight) -> bool {
    hit.depth(ctx.stack()) <= kept.depth
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: plain helper call.
    unsafe { bpf_ktime_get_ns() }
}

/// Sends the status. `false`: the response is another request's, and nothing was sent.
#[inline(always)]
fn send_response(hit: &Hit, file: &File, flight: &Flight, response: u64, is_http: bool) -> bool {
    let end_ns = now();
    let Some(mut record) = ring::reserve(ENDED_BYTES) else {
        count(hit, Counter::EndUnsent);
        return true;
    };
    let base = record.as_mut_ptr();
    let (mut status, mut major, mut minor) = (STATUS_UNKNOWN, 2, 0);
    if is_http {
        // SAFETY: the reservation has room for the window behind an Ended.
        let scratch = unsafe { base.add(size_of::<Ended>()) };
        let window = Window::<RESPONSE_WINDOW>::read(scratch, response, 0, file.response_bytes);
        if window.ok() {
            status = window.known_word(file.response_status) as u32;
            major = window.word(file.response_proto_major).unwrap_or(0);
            minor = window.word(file.response_proto_minor).unwrap_or(0);
            let request = window.word(file.response_request).unwrap_or(0);
            if request != 0 && is_strangers(file, flight, request) {
                ring::discard(record);
                return false;
            }
        } else {
            count_core(Core::ReadFault);
            major = 0;
        }
    } else if let Some(code) = known(response, file.h2_status).and_then(read::<u64>) {
        status = code as u32;
    }
    flight.write_head(hit, base, KIND_ENDED, size_of::<Ended>() as u32, end_ns);
    // SAFETY: the reservation is at least an Ended long.
    let ended = unsafe { &mut *base.cast::<Ended>() };
    ended.status = status;
    ended.proto_major = major as u16;
    ended.proto_minor = minor as u16;
    ring::submit(record);
    true
}

/// Whether a response's request is another than the one that is kept: every copy that net/http makes shares the header's map.
#[inline(always)]
fn is_strangers(file: &File, flight: &Flight, request: u64) -> bool {
    let header = known(request, file.request_header).and_then(try_read::<u64>);
    header.is_some_and(|header| header != flight.header)
}

/// Sends what has failed. Whether there was room.
#[inline(always)]
fn send_error(hit: &Hit, file: &File, flight: &Flight, error: u64, data: u64, is_final: u32) -> bool {
    let end_ns = now();
    let Some(mut record) = ring::reserve(FAILED_BYTES) else {
        count(hit, Counter::EndUnsent);
        return false;
    };
    let base = record.as_mut_ptr();
    flight.write_head(hit, base, KIND_FAILED, FAILED_BYTES as u32, end_ns);
    // SAFETY: the reservation has a Failed and all slots.
    unsafe {
        let failed = base.cast::<Failed>();
        (*failed).is_final = is_final;
        let slots = base.add(size_of::<Failed>());
        GoError::new(error, data).write(&file.errors, flight.bias, slots, &raw mut (*failed).lens);
    }
    ring::submit(record);
    true
}
