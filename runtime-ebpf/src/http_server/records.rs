//! What the programs of HTTP servers send: one record when a request begins, with its text as it came over the wire or with its
//! strings, and a small one when it ends. The agent joins them by span id.
//!
//! HTTP/2 has strings only. The text of HTTP/1.x is what the connection's `bufio.Reader` holds in front of its read position: the request line and the header,
//! once the programs have found that it begins with this request's own line and has its blank line at the end and nowhere
//! else. Where that does not hold (a header that came in more than one read, requests behind one another in the buffer,
//! headers that do not fit), the strings are taken from the target's structs one by one: the slow way. Both give the same span.
//!
//! ```text
//! KIND_BEGAN_WIRE     Began | text: the first min(text_len, room) bytes, up to Head::len
//! KIND_BEGAN_SHORT    Began | strings in the slots BEGAN_SHORT_SLOTS
//! KIND_BEGAN_FIELDS   Began | strings in the slots BEGAN_SLOTS
//! KIND_HEADERS        Headers | strings in the slots HEADERS_SLOTS, behind a beginning of the two kinds above
//! KIND_ENDED          Ended | strings in the slots ENDED_SLOTS
//! KIND_ENDED_LARGE    Ended | strings in the slots ENDED_LARGE_SLOTS
//! KIND_HTTP2          Head
//! KIND_ROUTE          Routed | the route's first min(len, room) bytes, up to Head::len; between a beginning and its end
//! KIND_ENDED_WHOLE    Ended | ENDED_LARGE_SLOTS | Began | BEGAN_SLOTS, for a request whose beginning found no room in the ring
//! KIND_ENDED_WHOLE_MORE   the same, and behind it Headers | HEADERS_SLOTS
//! ```

use crate::record::Head;

/// A request has begun; its text follows as it came over the wire.
pub const KIND_BEGAN_WIRE: u16 = 1;
/// A request has begun; its strings follow one by one.
pub const KIND_BEGAN_FIELDS: u16 = 2;
/// A request has ended.
pub const KIND_ENDED: u16 = 3;
/// A request has ended, and its strings are long.
pub const KIND_ENDED_LARGE: u16 = 4;
/// A request has ended whose beginning was not sent: `Began` and its slots as they are at the end, with `Ended` in front.
pub const KIND_ENDED_WHOLE: u16 = 5;

/// The process serves HTTP/2, which no library traces in its file: a Head alone, once per process and processor at most.
pub const KIND_HTTP2: u16 = 6;

/// A request has begun; its strings, none of them long, follow one by one.
pub const KIND_BEGAN_SHORT: u16 = 7;

/// More of the header of a request whose strings came one by one, where there is more that a span needs.
pub const KIND_HEADERS: u16 = 8;

/// The same as [`KIND_ENDED_WHOLE`], where the header says more that a span needs: `Headers` and its slots behind it.
pub const KIND_ENDED_WHOLE_MORE: u16 = 9;

/// A router has found a request's route. Its programs are another library's, the record is that of the server's.
pub const KIND_ROUTE: u16 = 10;

/// The fixed part of a beginning.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// `end_ns` is 0.
    pub head: Head,
    /// Address of the `*response` (HTTP/2: `*responseWriter`): names the open request within its process and generation.
    pub response: u64,
    /// `g.goid` of the connection's goroutine (HTTP/2: the stream's).
    pub goid: u64,
    /// `Request.ContentLength`; negative: not known, as with chunked bodies.
    pub content_length: i64,
    /// Entries of `Request.Header`; [`crate::record::ABSENT`] if it could not be read.
    pub header_count: u32,
    /// Length of `Request.Method` in the target.
    pub method_len: u32,
    /// Length of `Request.RequestURI` in the target.
    pub uri_len: u32,
    /// KIND_BEGAN_WIRE: length of the whole text in the target; the record may hold less.
    pub text_len: u32,
    /// Length of the connection's remote address in the target; `peer` holds at most its size of it.
    pub peer_len: u32,
    /// 1 if `Request.TLS` is set, 0 if not, [`super::TLS_UNKNOWN`].
    pub tls: u8,
    /// `Request.ProtoMajor`; 0 if it could not be read.
    pub proto_major: u8,
    /// `Request.ProtoMinor`.
    pub proto_minor: u8,
    /// Zero.
    pub reserved: u8,
    /// `conn.remoteAddr`: the socket's peer.
    pub peer: [u8; PEER_BYTES],
    /// KIND_BEGAN_FIELDS and KIND_BEGAN_SHORT: the strings' lengths in the target, in the order of the `BEGAN_` slots.
    pub lens: [u32; BEGAN_SLOT_COUNT],
}

/// Bytes of the peer's address that are kept: `[IPv6%zone]:port` with a zone of up to 16.
pub const PEER_BYTES: usize = 64;

/// `Request.Method`.
pub const BEGAN_METHOD: usize = 0;
/// `Request.RequestURI`.
pub const BEGAN_URI: usize = 1;
/// `Request.Host`.
pub const BEGAN_HOST: usize = 2;
/// The first value of the `User-Agent` header.
pub const BEGAN_USER_AGENT: usize = 3;
/// Number of them.
pub const BEGAN_SLOT_COUNT: usize = 4;
/// Their sizes in bytes.
pub const BEGAN_SLOTS: [usize; BEGAN_SLOT_COUNT] = [32, 4096, 256, 256];
/// Their sizes in a KIND_BEGAN_SHORT record, which is sent where all strings fit.
pub const BEGAN_SHORT_SLOTS: [usize; BEGAN_SLOT_COUNT] = [16, 256, 96, 144];

/// The fixed part of what more the header says.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// As in the beginning.
    pub head: Head,
    /// As in the beginning.
    pub response: u64,
    /// The strings' lengths in the target, in the order of the `HEADERS_` slots; 0 without such a header.
    pub lens: [u32; HEADERS_SLOT_COUNT],
    /// Zero.
    pub reserved: u32,
}

/// The `tracestate` headers behind a valid `traceparent`, joined by commas (RFC 9110, 5.3); of more than [`MOST_TRACESTATES`] it is
/// [`NO_TRACESTATE`].
pub const HEADERS_TRACESTATE: usize = 0;
/// The first `Forwarded`.
pub const HEADERS_FORWARDED: usize = 1;
/// The first `X-Forwarded-For`.
pub const HEADERS_FORWARDED_FOR: usize = 2;
/// The first `X-Forwarded-Host`.
pub const HEADERS_FORWARDED_HOST: usize = 3;
/// The first `X-Forwarded-Proto`.
pub const HEADERS_FORWARDED_PROTO: usize = 4;
/// Number of them.
pub const HEADERS_SLOT_COUNT: usize = 5;
/// So many `tracestate` headers are joined.
pub const MOST_TRACESTATES: usize = 4;
/// What is no list, whatever else one may be.
pub const NO_TRACESTATE: u8 = b'=';
/// Their sizes in bytes. Of a `tracestate` 512 bytes are kept, for which whole members are left out, the long ones first; of the
/// others the first element counts.
pub const HEADERS_SLOTS: [usize; HEADERS_SLOT_COUNT] = [1024, 256, 128, 256, 32];

/// The fixed part of a route.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// As in the beginning.
    pub head: Head,
    /// As in the beginning.
    pub response: u64,
    /// The route's length in the target.
    pub len: u32,
    /// The `ROUTE_` bits below.
    pub bits: u32,
}

/// The router may have asked for it only to answer 405, and then it is no route.
pub const ROUTE_UNLESS_405: u32 = 1;
/// It counts only where nothing else says a route: no other router, no mux before it, and not the server's own Request.
pub const ROUTE_IF_NONE: u32 = 2;

/// Room for a route in a small record.
pub const ROUTE_BYTES: usize = 128;
/// Room in a large one: longer ones are cut, and the agent leaves them out.
pub const LONG_ROUTE_BYTES: usize = 512;

/// The fixed part of an end.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Complete: what the beginning said, and the end's time. A `span_id` of zeros: the request was ended from another
    /// goroutine, and only `response` says which it is.
    pub head: Head,
    /// As in the beginning.
    pub response: u64,
    /// The response's status; 0 if the handler wrote nothing; [`super::STATUS_UNKNOWN`].
    pub status: u32,
    /// One of the `HOW_` constants.
    pub how: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The strings' lengths in the target, in the order of the `ENDED_` slots.
    pub lens: [u32; ENDED_SLOT_COUNT],
}

/// `Request.Pattern`, or `pat.str` (Go 1.22), as it is at the end.
pub const ENDED_PATTERN: usize = 0;
/// `Request.RemoteAddr`, where the handler has changed it; [`crate::record::ABSENT`] where it is still the peer's.
pub const ENDED_CLIENT: usize = 1;
/// Number of them.
pub const ENDED_SLOT_COUNT: usize = 2;
/// Their sizes in bytes in a KIND_ENDED record.
pub const ENDED_SLOTS: [usize; ENDED_SLOT_COUNT] = [128, 64];
/// Their sizes in a KIND_ENDED_LARGE or KIND_ENDED_WHOLE record.
pub const ENDED_LARGE_SLOTS: [usize; ENDED_SLOT_COUNT] = [512, 256];

/// The handler returned.
pub const HOW_FINISHED: u8 = 0;
/// The handler, or somebody for it, took the connection over.
pub const HOW_HIJACKED: u8 = 1;
/// The handler panicked.
pub const HOW_PANICKED: u8 = 2;
/// The handler panicked with `http.ErrAbortHandler`.
pub const HOW_ABORTED: u8 = 3;
/// The handler left by `runtime.Goexit`.
pub const HOW_GOEXIT: u8 = 4;
/// The connection was closed with the request open, and how it came to that could not be told.
pub const HOW_UNKNOWN: u8 = 5;
/// HTTP/2: the handler returned and had written nothing, and the stream was closed by then: nothing was answered.
pub const HOW_UNANSWERED: u8 = 6;
/// HTTP/2: no client has sent this request; the server pushes its answer.
pub const HOW_PUSHED: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<Began>(), 72 + 3 * 8 + 5 * 4 + 4 + PEER_BYTES + 4 * BEGAN_SLOT_COUNT);
        assert_eq!(size_of::<Ended>(), 72 + 8 + 4 + 4 + 4 * ENDED_SLOT_COUNT);
        assert_eq!(size_of::<Headers>(), 72 + 8 + 4 * HEADERS_SLOT_COUNT + 4);
        assert_eq!(size_of::<Routed>(), 72 + 8 + 4 + 4);
        assert_eq!((size_of::<Began>() % 8, size_of::<Ended>() % 8, size_of::<Headers>() % 8), (0, 0, 0));
    }
}
