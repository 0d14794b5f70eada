//! A request's strings, taken from its structs one by one: the only way of HTTP/2, and the slow one of HTTP/1.x, where a request's
//! text cannot be proven.
//!
//! The header walk's steps and stack are those of a program of its own.

use aya_ebpf::maps::ring_buf::RingBufBytes;
use runtime_ebpf::{
    abi::MapWalk,
    http_server::{
        LastFields, REQUEST_WINDOW, RequestFields, TLS_UNKNOWN,
        counters::Counter,
        records::{
            BEGAN_HOST, BEGAN_METHOD, BEGAN_SHORT_SLOTS, BEGAN_SLOT_COUNT, BEGAN_SLOTS, BEGAN_URI,
            BEGAN_USER_AGENT, Began, ENDED_LARGE_SLOTS, Ended, KIND_BEGAN_FIELDS, KIND_BEGAN_SHORT,
            KIND_ENDED_WHOLE, KIND_ENDED_WHOLE_MORE, PEER_BYTES,
        },
    },
    record::{ABSENT, PARENT_REMOTE},
};

use super::{
    begin, count,
    end::{self, Ending},
    flight::{ANNOUNCED, Flight},
    more,
};
use crate::{
    enter::Hit,
    header_names::{HttpNames, TRACESTATE, USER_AGENT},
    headers::{self, Found},
    read::{GoString, known, put, read},
    ring,
    texts::{Window, cut_len, fill, string_in},
    trace_states,
};

const BEGAN_BYTES: usize = size_of::<Began>() + total(&BEGAN_SLOTS);
const SHORT_BYTES: usize = size_of::<Began>() + total(&BEGAN_SHORT_SLOTS);
/// Where `Began` stands in a `KIND_ENDED_WHOLE` record.
const WHOLE_BEGAN: usize = size_of::<Ended>() + ENDED_LARGE_SLOTS[0] + ENDED_LARGE_SLOTS[1];
const WHOLE_BYTES: usize = WHOLE_BEGAN + BEGAN_BYTES;
const WHOLE_MORE_BYTES: usize = WHOLE_BYTES + more::BYTES;
// The request's struct is read into where the strings will stand.
const _: () = assert!(total(&BEGAN_SHORT_SLOTS) >= REQUEST_WINDOW);

const fn total(slots: &[usize; BEGAN_SLOT_COUNT]) -> usize {
    slots[0] + slots[1] + slots[2] + slots[3]
}

/// A request's struct, and how it is read.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub fields: &'a RequestFields,
    pub headers: &'a MapWalk,
}

/// Notes where the connection's remote address lies.
#[inline(always)]
pub fn note_peer(flight: &mut Flight, peer: GoString) {
    flight.peer_address = peer.address;
    flight.peer_len = if peer.is_missing() { 0 } else { cut_len(peer.len) };
}

/// Begins the request of an entry that has its `response`, `request`, `start_ns` and peer, and announces it if it is recorded. `link` says over which
/// connection it has come, and as which stream.
#[inline(always)]
pub fn begin(
    hit: &Hit,
    request: Request<'_>,
    flight: &mut Flight,
    link: impl FnOnce(&mut Flight) -> (u64, u64),
) {
    let map = known(flight.request, request.fields.header).and_then(read::<u64>).unwrap_or(0);
    // SAFETY: the entry has no identity yet.
    let mut found =
        unsafe { headers::find::<HttpNames>(map, request.headers, &raw mut flight.parent_span_id) };
    let agent = found.first_of(USER_AGENT, request.headers);
    let parent = begin::remote_parent(hit, request.headers, &mut found);
    if begin::admit(hit, request.fields, flight, parent, 0, link) {
        if announce(hit, request.fields, flight, map, agent) {
            flight.state |= ANNOUNCED;
            count(hit, Counter::Fields);
            more::send(hit, flight, request.headers, &mut found);
        } else {
            count(hit, Counter::Unannounced);
        }
    }
    // Last of all, where the verifier has the fewest ways to follow.
    if trace_states::concerns(hit, flight.parent) {
        // It counts behind a valid `traceparent` alone (W3C, 3.3).
        found.keep_if_none(&[TRACESTATE], (flight.parent ^ PARENT_REMOTE) as u64);
        let values = found.all_of(TRACESTATE, request.headers);
        trace_states::note(hit, flight.trace_id, values, &mut found);
    }
    found.count_failures();
}

/// Sends the beginning, in a short record if that has room for the strings. `false`: there was no room in the ring.
#[inline(always)]
fn announce(hit: &Hit, fields: &RequestFields, flight: &Flight, map: u64, agent: GoString) -> bool {
    let Some(mut short) = ring::reserve(SHORT_BYTES) else { return false };
    let base = short.as_mut_ptr();
    if write_short(hit, fields, base, flight, agent) {
        ring::submit(short);
        return true;
    }
    ring::discard(short);
    let Some(mut record) = ring::reserve(BEGAN_BYTES) else { return false };
    let base = record.as_mut_ptr();
    end::write_head(hit, base, flight, KIND_BEGAN_FIELDS, BEGAN_BYTES as u32, 0);
    write(fields, base, flight, map, agent);
    ring::submit(record);
    true
}

/// Writes a short record. `false`: the struct cannot be read in one go, or one of its strings is long.
#[inline(always)]
fn write_short(hit: &Hit, fields: &RequestFields, base: *mut u8, flight: &Flight, agent: GoString) -> bool {
    // SAFETY: the slots have room for it (asserted above).
    let scratch = unsafe { base.add(size_of::<Began>()) };
    let window = Window::<REQUEST_WINDOW>::read(scratch, flight.request, 0, fields.bytes);
    if !window.ok() {
        return false;
    }
    let (method, uri) = (window.known_string(fields.method), window.known_string(fields.request_uri));
    let host = window.known_string(fields.host);
    let tls = window.known_word(fields.tls);
    let (major, minor) = (window.known_word(fields.proto_major), window.known_word(fields.proto_minor));
    let fits = method.len <= BEGAN_SHORT_SLOTS[BEGAN_METHOD] as u64
        && uri.len <= BEGAN_SHORT_SLOTS[BEGAN_URI] as u64
        && host.len <= BEGAN_SHORT_SLOTS[BEGAN_HOST] as u64
        && agent.fits(BEGAN_SHORT_SLOTS[BEGAN_USER_AGENT]);
    if !fits {
        return false;
    }
    end::write_head(hit, base, flight, KIND_BEGAN_SHORT, SHORT_BYTES as u32, 0);
    // SAFETY: the reservation has a Began here, and its slots.
    let began = unsafe { &mut *base.cast::<Began>() };
    write_fixed(began, flight);
    // Nobody proves a text by them.
    (began.content_length, began.header_count) = (-1, ABSENT);
    // 1 unless it is null, without a branch.
    began.tls = ((tls | tls.wrapping_neg()) >> 63) as u8;
    (began.proto_major, began.proto_minor) = (major as u8, minor as u8);
    write_strings::<true>(base, method, uri, host, agent);
    true
}

/// Sends a request whole, at its end: its beginning found no room in the ring. The caller has compared what proves that the
/// entry's pointers are alive, in this very hit.
#[inline(always)]
pub fn whole(
    hit: &Hit,
    request: Request<'_>,
    last: &LastFields,
    flight: &mut Flight,
    ending: impl Fn(&Flight, *mut u8) -> Ending,
) {
    let map = known(flight.request, request.fields.header).and_then(read::<u64>).unwrap_or(0);
    // The record is not there yet: how long it will be depends on what is found.
    let peer = flight.peer[0];
    // SAFETY: the word is put back.
    let mut found = unsafe { headers::find::<HttpNames>(map, request.headers, &raw mut flight.peer[0]) };
    put(&mut flight.peer[0], peer);
    if more::is_wanted(hit, flight, &mut found) {
        match ring::reserve(WHOLE_MORE_BYTES + more::BEHIND) {
            Some(record) => write_whole::<true>(hit, request, last, flight, map, &mut found, ending, record),
            None => count(hit, Counter::EndLost),
        }
    } else {
        match ring::reserve(WHOLE_BYTES) {
            Some(record) => write_whole::<false>(hit, request, last, flight, map, &mut found, ending, record),
            None => count(hit, Counter::EndLost),
        }
    }
    found.count_failures();
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "it is `whole`, once for each length of its record")]
fn write_whole<const MORE: bool>(
    hit: &Hit,
    request: Request<'_>,
    fields: &LastFields,
    flight: &Flight,
    map: u64,
    found: &mut Found<HttpNames>,
    ending: impl Fn(&Flight, *mut u8) -> Ending,
    mut record: RingBufBytes<'static>,
) {
    let base = record.as_mut_ptr();
    let end_ns = end::now();
    let ending = ending(flight, base);
    // SAFETY: the reservation has an Ended, the large slots, and a Began with its own.
    let (scratch, began) = unsafe { (base.add(size_of::<Ended>()), base.add(WHOLE_BEGAN)) };
    let last = end::last(fields, flight, ending.request, scratch);
    let (kind, len) =
        if MORE { (KIND_ENDED_WHOLE_MORE, WHOLE_MORE_BYTES) } else { (KIND_ENDED_WHOLE, WHOLE_BYTES) };
    end::write_head(hit, base, flight, kind, len as u32, end_ns);
    end::write(base, flight.response, ending.status, ending.how);
    end::write_strings(base, &ENDED_LARGE_SLOTS, &last);
    let agent = found.first_of(USER_AGENT, request.headers);
    end::write_head(hit, began, flight, KIND_BEGAN_FIELDS, BEGAN_BYTES as u32, 0);
    write(request.fields, began, flight, map, agent);
    if MORE {
        // SAFETY: the reservation has a Headers here, its slots, and what they ask for behind them.
        let headers = unsafe { base.add(WHOLE_BYTES) };
        more::write(hit, headers, flight, request.headers, found);
    }
    ring::submit(record);
}

/// Writes a beginning behind its head: the fixed part, and the strings into their slots.
#[inline(always)]
fn write(fields: &RequestFields, base: *mut u8, flight: &Flight, map: u64, agent: GoString) {
    let request = flight.request;
    let word = |offset| known(request, offset).and_then(read::<u64>);
    // SAFETY: the reservation has a Began here, and its slots.
    let began = unsafe { &mut *base.cast::<Began>() };
    write_fixed(began, flight);
    began.content_length = word(fields.content_length).unwrap_or(u64::MAX) as i64;
    began.header_count = if map == 0 { 0 } else { read::<u64>(map).map_or(ABSENT, |count| count as u32) };
    began.tls = word(fields.tls).map_or(TLS_UNKNOWN, |pointer| (pointer != 0) as u8);
    began.proto_major = word(fields.proto_major).unwrap_or(0) as u8;
    began.proto_minor = word(fields.proto_minor).unwrap_or(0) as u8;
    let (method, uri) = (string_in(request, fields.method), string_in(request, fields.request_uri));
    let host = string_in(request, fields.host);
    write_strings::<false>(base, method, uri, host, agent);
}

/// What does not depend on how the request's struct is read.
#[inline(always)]
fn write_fixed(began: &mut Began, flight: &Flight) {
    began.response = flight.response;
    began.goid = flight.goid;
    began.text_len = 0;
    began.reserved = 0;
    let peer = GoString { address: flight.peer_address, len: flight.peer_len as u64 };
    began.peer_len = fill((&raw mut began.peer).cast(), PEER_BYTES, peer);
}

/// Copies the strings into their slots, and says how long they are.
#[inline(always)]
fn write_strings<const SHORT: bool>(
    base: *mut u8,
    method: GoString,
    uri: GoString,
    host: GoString,
    agent: GoString,
) {
    // SAFETY: the reservation has a Began here, and its slots.
    let began = unsafe { &mut *base.cast::<Began>() };
    began.lens[BEGAN_METHOD] = slot::<SHORT, BEGAN_METHOD>(base, method);
    began.lens[BEGAN_URI] = slot::<SHORT, BEGAN_URI>(base, uri);
    began.lens[BEGAN_HOST] = slot::<SHORT, BEGAN_HOST>(base, host);
    began.lens[BEGAN_USER_AGENT] = slot::<SHORT, BEGAN_USER_AGENT>(base, agent);
    began.method_len = began.lens[BEGAN_METHOD];
    began.uri_len = began.lens[BEGAN_URI];
}

/// Copies a string into slot `N`; gives its length.
#[inline(always)]
fn slot<const SHORT: bool, const N: usize>(base: *mut u8, text: GoString) -> u32 {
    let slots = const { if SHORT { BEGAN_SHORT_SLOTS } else { BEGAN_SLOTS } };
    let offset = const {
        let slots = if SHORT { BEGAN_SHORT_SLOTS } else { BEGAN_SLOTS };
        let (mut offset, mut i) = (size_of::<Began>(), 0);
        while i < N {
            offset += slots[i];
            i += 1;
        }
        offset
    };
    // SAFETY: the slot lies within the reservation.
    fill(unsafe { base.add(offset) }, slots[N], text)
}
