//! Another library has found the route of the request that is open on this goroutine: it is sent in the server's name, whose joiner has
//! the beginning.

use runtime_ebpf::{
    http_server::{
        records::{KIND_ROUTE, LONG_ROUTE_BYTES, ROUTE_BYTES, Routed},
        route::Counter,
    },
    libraries::{NET_HTTP_SERVER, NET_HTTP_SERVER_H2},
    record::ABSENT,
};

use super::{
    end::write_head,
    flight::{self, ANNOUNCED, Flight, Key, OPEN, SAMPLED},
};
use crate::{
    count::count_of,
    enter::Hit,
    programs::net_http_server_h2::NET_HTTP_SERVER_H2_FILES,
    read::GoString,
    ring,
    texts::{fill, string_in},
    whole_key::WholeKey as _,
};

/// Adds one to a counter that all routers have, of the one whose hit it is.
#[inline(always)]
fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}

/// The Request that a router was asked for, and where Requests have `RequestURI`.
pub struct Asked {
    pub request: u64,
    pub uri: u16,
}

impl Asked {
    /// Whether it is the server's or a copy of it. Copies share the string that `RequestURI` is, whatever else of them middleware has
    /// changed; what a handler has made itself has none, or one of its own. The server's is alive: this is its handler's goroutine.
    #[inline(always)]
    fn is_of(&self, hit: &Hit, flight: &Flight) -> bool {
        let (servers, uri) = match flight.library {
            // Over HTTP/1.x `extra` is something else.
            library if library == NET_HTTP_SERVER.code => (flight.request, self.uri),
            _ if flight.extra != 0 => (flight.extra, self.uri),
            // Of Go 1.27 on what the entry has is a ServerRequest, from which net/http's Request has the string.
            library if library == NET_HTTP_SERVER_H2.code => {
                let Some(file) = NET_HTTP_SERVER_H2_FILES.get_at(hit.file()) else { return false };
                (flight.request, file.request.request_uri)
            }
            _ => (flight.request, self.uri),
        };
        if servers == self.request {
            return true;
        }
        let (own, its) = (string_in(servers, uri), string_in(self.request, self.uri));
        own.is_missing() || own.len == 0 || (own.address == its.address && own.len == its.len)
    }
}

/// The recorded request that is open on this very goroutine, in whichever server: `g`s are used again, so their goroutines' ids are
/// compared. `asked`: the request that the router was asked for, where that is known.
#[inline(always)]
pub fn request(hit: &Hit, asked: Option<Asked>) -> Option<&'static Flight> {
    let open = flight::live(hit, &Key::of(hit)).map(|entry| entry.get());
    let open = open.filter(|flight| flight.has(OPEN) && flight.has(SAMPLED));
    let Some(flight) = open.filter(|flight| hit.goid() == Some(flight.goid)) else {
        count(hit, Counter::Elsewhere);
        return None;
    };
    if !flight.has(ANNOUNCED) {
        count(hit, Counter::Unannounced);
        return None;
    }
    if asked.is_some_and(|asked| !asked.is_of(hit, flight)) {
        count(hit, Counter::OwnRequests);
        return None;
    }
    Some(flight)
}

/// Sends a route of it. An empty one is none, and changes nothing.
#[inline(always)]
pub fn send(hit: &Hit, flight: &Flight, route: GoString, bits: u32) {
    if route.is_missing() || route.len == 0 {
        return;
    }
    if route.fits(ROUTE_BYTES) {
        send_in::<ROUTE_BYTES, { size_of::<Routed>() + ROUTE_BYTES }>(hit, flight, route, bits);
    } else {
        send_in::<LONG_ROUTE_BYTES, { size_of::<Routed>() + LONG_ROUTE_BYTES }>(hit, flight, route, bits);
    }
}

#[inline(always)]
fn send_in<const ROOM: usize, const BYTES: usize>(hit: &Hit, flight: &Flight, route: GoString, bits: u32) {
    let Some(mut record) = ring::reserve(BYTES) else {
        count(hit, Counter::Unsent);
        return;
    };
    let base = record.as_mut_ptr();
    write_head(hit, base, flight, KIND_ROUTE, BYTES as u32, 0);
    // SAFETY: the room lies behind the fixed part.
    let len = fill(unsafe { base.add(size_of::<Routed>()) }, ROOM, route);
    if len == ABSENT {
        // Counted where it was read. It must not take the place of a route that is known.
        return ring::discard(record);
    }
    // SAFETY: the reservation is at least a Routed long.
    let fixed = unsafe { &mut *base.cast::<Routed>() };
    fixed.response = flight.response;
    fixed.len = len;
    fixed.bits = bits;
    ring::submit(record);
    count(hit, Counter::Routes);
}
