//! The slow ways: what a request's text cannot prove is taken from its structs, field by field.
//!
//! Programs of their own, reached by tail call: the header walk's steps and stack are then not those of the fast way.

use runtime_ebpf::{
    http_server::records::HOW_FINISHED,
    net_http_server::File,
    record::{ABSENT, PARENT_REMOTE},
};

use super::{
    super::http_server::{
        fields::{self, Request},
        flight::{self, Flight, HOW_SHIFT, KEPT_PEER, Key, PENDING, STATED},
    },
    close, start, tell_http2,
};
use crate::{
    connection::{Conn, link_apart},
    enter::Hit,
    header_names::{TRACESTATE, TraceState},
    headers,
    read::{known, put, read},
    texts::{fill, string_in},
    trace_states,
};

fn request(file: &File) -> Request<'_> {
    Request { fields: &file.request, headers: &file.headers }
}

/// Goes on where `start` has left it.
#[inline(always)]
pub fn begin(hit: &Hit, file: &File, bias: u64) {
    let key = Key::of(hit);
    let Some(mut entry) = flight::live(hit, &key).filter(|entry| entry.get().has(PENDING)) else { return };
    let flight = entry.get_mut();
    connect(file, flight);
    let proto = known(flight.request, file.request.proto_major).and_then(read::<u64>);
    if proto == Some(2) {
        // The preface of HTTP/2: its handler serves the whole connection.
        tell_http2(hit);
        flight::remove(hit, &key);
        return;
    }
    let link = |net: Conn| link_apart(hit.file(), bias, net.itab, net.data);
    fields::begin(hit, request(file), flight, |flight| start::link(file, flight, link));
}

/// Sends a request whole, at its end: its beginning found no room in the ring. One of the programs of `close` has compared
/// what proves that the entry's pointers are alive, in this very hit.
#[inline(always)]
pub fn whole(hit: &Hit, file: &File) {
    let key = Key::of(hit);
    let Some(mut entry) = flight::live(hit, &key) else { return };
    let flight = entry.get_mut();
    let how = (flight.state >> HOW_SHIFT) as u8;
    fields::whole(hit, request(file), &file.last, flight, |flight, _| close::ending(file, flight, how));
    if how == HOW_FINISHED { flight::rest(hit, &key, entry) } else { flight::remove(hit, &key) }
}

/// Notes what the trace of the request carries that has just begun.
#[inline(always)]
pub fn note_state(hit: &Hit, file: &File) {
    let Some(mut entry) = flight::live(hit, &Key::of(hit)) else { return };
    let flight = entry.get_mut();
    if !flight.has(STATED) {
        return trace_states::note_none(hit, flight.trace_id);
    }
    let map = known(flight.request, file.request.header).and_then(read::<u64>).unwrap_or(0);
    let peer = flight.peer[0];
    // SAFETY: the word is put back.
    let mut found = unsafe { headers::find::<TraceState>(map, &file.headers, &raw mut flight.peer[0]) };
    put(&mut flight.peer[0], peer);
    // It counts behind a valid `traceparent` alone (W3C, 3.3).
    found.keep_if_none(&[TRACESTATE], (flight.parent ^ PARENT_REMOTE) as u64);
    let values = found.all_of(TRACESTATE, &file.headers);
    // Of what could not be read nothing goes on, which is counted; the request itself lacks nothing.
    trace_states::note(hit, flight.trace_id, values, &mut found);
}

/// The connection's own fields, where the fast way has not come so far.
#[inline(always)]
fn connect(file: &File, flight: &mut Flight) {
    if flight.conn != 0 {
        return;
    }
    let conn = known(flight.response, file.response_conn).and_then(read::<u64>).unwrap_or(0);
    flight.conn = conn;
    put(&mut flight.link, 0);
    flight.extra = known(conn, file.conn_bufr).filter(|_| conn != 0).and_then(read::<u64>).unwrap_or(0);
    let peer = string_in(conn, file.conn_remote_addr);
    fields::note_peer(flight, peer);
    if flight.peer_len <= KEPT_PEER as u32 && fill((&raw mut flight.peer).cast(), KEPT_PEER, peer) == ABSENT {
        // Not the next request's either: it asks again.
        flight.extra = 0;
    }
}
