//! The slow ways: what a request's text cannot prove is taken from its structs, field by field.
//!
//! Programs of their own, reached by tail call: the header walk's steps and stack are then not those of the fast way.

use aya_ebpf::maps::ring_buf::RingBufBytes;
use runtime_ebpf::{
    counters::Counter as Core,
    net_http_server::{
        File, TLS_UNKNOWN,
        counters::Counter,
        records::{
            BEGAN_HOST, BEGAN_METHOD, BEGAN_SLOT_COUNT, BEGAN_SLOTS, BEGAN_URI, BEGAN_USER_AGENT, Began,
            ENDED_LARGE_SLOTS, Ended, HOW_FINISHED, KIND_BEGAN_FIELDS, KIND_ENDED_WHOLE, PEER_BYTES,
        },
    },
    record::ABSENT,
    trace_parent::TraceParent,
};

use super::{
    count, end,
    flight::{self, ANNOUNCED, Flight, HOW_SHIFT, KEPT_PEER, Key, PENDING},
    start,
};
use crate::{
    count::count as count_core,
    enter::Hit,
    headers::{self, Found},
    read::{GoString, known, read},
    ring,
    texts::{MISSING, cut_len, fill, string_in},
    traceparent,
};

const SLOTS_BYTES: usize = BEGAN_SLOTS[0] + BEGAN_SLOTS[1] + BEGAN_SLOTS[2] + BEGAN_SLOTS[3];
const BEGAN_BYTES: usize = size_of::<Began>() + SLOTS_BYTES;
/// Where `Began` stands in a `KIND_ENDED_WHOLE` record.
const WHOLE_BEGAN: usize = size_of::<Ended>() + ENDED_LARGE_SLOTS[0] + ENDED_LARGE_SLOTS[1];
const WHOLE_BYTES: usize = WHOLE_BEGAN + BEGAN_BYTES;
const _: () = assert!(BEGAN_SLOT_COUNT == 4);

/// Goes on where `start` has left it.
#[inline(always)]
pub fn begin(hit: &Hit, file: &File) {
    let key = Key::of(hit);
    let Some(mut entry) = flight::live(hit, &key).filter(|entry| entry.get().has(PENDING)) else { return };
    let flight = entry.get_mut();
    connect(file, flight);
    let proto = known(flight.request, file.request_proto_major).and_then(read::<u64>);
    if proto == Some(2) {
        // The preface of HTTP/2: its handler serves the whole connection.
        super::tell_http2(hit);
        flight::remove(hit, &key);
        return;
    }
    let map = known(flight.request, file.request_header).and_then(read::<u64>).unwrap_or(0);
    // SAFETY: the entry has no identity yet.
    let found = unsafe { headers::find(map, &file.headers, &raw mut flight.parent_span_id) };
    let parent = if hit.extracts() { remote_parent(&found) } else { None };
    let record = ring::reserve(BEGAN_BYTES);
    let announced = if record.is_some() { ANNOUNCED } else { 0 };
    let sampled = start::admit(hit, file, flight, parent, announced);
    let Some(mut record) = record else {
        if sampled {
            count(Counter::Unannounced);
        }
        return;
    };
    if !sampled {
        ring::discard(record);
        return;
    }
    count(Counter::Fields);
    let base = record.as_mut_ptr();
    end::write_head(hit, base, flight, KIND_BEGAN_FIELDS, BEGAN_BYTES as u32, 0);
    write(file, base, flight, map, found.user_agent);
    ring::submit(record);
}

/// Sends a request whole, at its end: its beginning found no room in the ring. One of the programs of `close` has compared
/// what proves that the entry's pointers are alive, in this very hit.
#[inline(always)]
pub fn whole(hit: &Hit, file: &File) {
    let key = Key::of(hit);
    let Some(entry) = flight::live(hit, &key) else { return };
    let flight = entry.get();
    let how = (flight.state >> HOW_SHIFT) as u8;
    match ring::reserve(WHOLE_BYTES) {
        Some(record) => write_whole(hit, file, flight, how, record),
        None => count(Counter::EndLost),
    }
    if how == HOW_FINISHED { flight::rest(hit, &key, entry) } else { flight::remove(hit, &key) }
}

#[inline(always)]
fn write_whole(hit: &Hit, file: &File, flight: &Flight, how: u8, mut record: RingBufBytes<'static>) {
    let base = record.as_mut_ptr();
    let end_ns = end::now();
    // SAFETY: the reservation has an Ended, the large slots and a Began with its own.
    let (scratch, began) = unsafe { (base.add(size_of::<Ended>()), base.add(WHOLE_BEGAN)) };
    let last = end::last(file, flight, scratch);
    end::write_head(hit, base, flight, KIND_ENDED_WHOLE, WHOLE_BYTES as u32, end_ns);
    end::write(base, flight.response, end::status(file, flight.response), how);
    end::write_strings(base, &ENDED_LARGE_SLOTS, &last);
    let map = known(flight.request, file.request_header).and_then(read::<u64>).unwrap_or(0);
    // SAFETY: the place is a Began's first word, which is written behind it.
    let found = unsafe { headers::find(map, &file.headers, began.cast()) };
    end::write_head(hit, began, flight, KIND_BEGAN_FIELDS, BEGAN_BYTES as u32, 0);
    write(file, began, flight, map, found.user_agent);
    ring::submit(record);
}

/// The connection's own fields, where the fast way has not come so far.
#[inline(always)]
fn connect(file: &File, flight: &mut Flight) {
    if flight.conn != 0 {
        return;
    }
    let conn = known(flight.response, file.response_conn).and_then(read::<u64>).unwrap_or(0);
    let peer = string_in(conn, file.conn_remote_addr);
    flight.conn = conn;
    flight.bufr = known(conn, file.conn_bufr).filter(|_| conn != 0).and_then(read::<u64>).unwrap_or(0);
    flight.peer_address = peer.address;
    flight.peer_len = if peer.is_missing() { 0 } else { cut_len(peer.len) };
    if flight.peer_len <= KEPT_PEER as u32 && fill((&raw mut flight.peer).cast(), KEPT_PEER, peer) == ABSENT {
        // Not the next request's either: it asks again.
        flight.bufr = 0;
    }
}

#[inline(always)]
fn remote_parent(found: &Found) -> Option<TraceParent> {
    let text = headers::first(found.traceparent)?;
    // Two headers are as good as none (W3C, 3.2).
    let parent = if found.traceparent.len == 1 { traceparent::parse(text) } else { None };
    if parent.is_none() {
        count_core(Core::TraceparentInvalid);
    }
    parent
}

/// Writes a beginning behind its head: the fixed part, and the strings into their slots.
#[inline(always)]
fn write(file: &File, base: *mut u8, flight: &Flight, map: u64, user_agent: GoString) {
    let request = flight.request;
    let word = |offset| known(request, offset).and_then(read::<u64>);
    // SAFETY: the reservation has a Began here, and its slots.
    let began = unsafe { &mut *base.cast::<Began>() };
    began.response = flight.response;
    began.goid = flight.goid;
    began.content_length = word(file.request_content_length).unwrap_or(u64::MAX) as i64;
    began.header_count = if map == 0 { 0 } else { read::<u64>(map).map_or(ABSENT, |count| count as u32) };
    began.text_len = 0;
    began.tls = word(file.request_tls).map_or(TLS_UNKNOWN, |pointer| (pointer != 0) as u8);
    began.proto_major = word(file.request_proto_major).unwrap_or(0) as u8;
    began.proto_minor = word(file.request_proto_minor).unwrap_or(0) as u8;
    began.reserved = 0;
    let peer = GoString { address: flight.peer_address, len: flight.peer_len as u64 };
    began.peer_len = fill((&raw mut began.peer).cast(), PEER_BYTES, peer);
    let agent = headers::first(user_agent).unwrap_or(MISSING);
    let (method, uri) =
        (string_in(request, file.request_method), string_in(request, file.request_request_uri));
    let host = string_in(request, file.request_host);
    began.lens[BEGAN_METHOD] = slot::<BEGAN_METHOD>(base, method);
    began.lens[BEGAN_URI] = slot::<BEGAN_URI>(base, uri);
    began.lens[BEGAN_HOST] = slot::<BEGAN_HOST>(base, host);
    began.lens[BEGAN_USER_AGENT] = slot::<BEGAN_USER_AGENT>(base, agent);
    began.method_len = began.lens[BEGAN_METHOD];
    began.uri_len = began.lens[BEGAN_URI];
}

/// Copies a string into slot `N`; gives its length.
#[inline(always)]
fn slot<const N: usize>(base: *mut u8, text: GoString) -> u32 {
    let offset = const {
        let (mut offset, mut i) = (size_of::<Began>(), 0);
        while i < N {
            offset += BEGAN_SLOTS[i];
            i += 1;
        }
        offset
    };
    // SAFETY: the slot lies within the reservation.
    fill(unsafe { base.add(offset) }, BEGAN_SLOTS[N], text)
}
