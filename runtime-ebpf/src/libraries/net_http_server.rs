//! `net/http.server`: what its programs need to know of a file, and what they send ([`records`]) and count ([`counters`]).

use crate::abi::MapWalk;

pub mod counters;
pub mod records;

/// The most of `http.Request` that is read in one go at the start; offsets into it must leave 16 bytes.
pub const REQUEST_WINDOW: usize = 512;

/// What the programs need to know of one file. Value of `NET_HTTP_SERVER_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Address in the file of the start site: `ip - start_vaddr` is the load bias.
    pub start_vaddr: u64,
    /// Address in the file of the itab (net/http.ResponseWriter, *net/http.response).
    pub writer_itab_vaddr: u64,
    /// Number of bytes of `http.Request` to read at the start, at most [`REQUEST_WINDOW`], covering all of its offsets that
    /// are read there.
    pub request_bytes: u16,
    /// Where in `http.Request` the part begins that is read at the end.
    pub end_from: u16,
    /// Its length, at most [`END_WINDOW`].
    pub end_bytes: u16,
    /// `http.Request.Method`.
    pub request_method: u16,
    /// `http.Request.ProtoMajor`.
    pub request_proto_major: u16,
    /// `http.Request.ProtoMinor`.
    pub request_proto_minor: u16,
    /// `http.Request.Header`.
    pub request_header: u16,
    /// `http.Request.ContentLength`.
    pub request_content_length: u16,
    /// `http.Request.Host`.
    pub request_host: u16,
    /// `http.Request.RemoteAddr`.
    pub request_remote_addr: u16,
    /// `http.Request.RequestURI`.
    pub request_request_uri: u16,
    /// `http.Request.TLS`.
    pub request_tls: u16,
    /// `http.Request.Pattern` (Go 1.23 and later).
    pub request_pattern: u16,
    /// `http.Request.pat` (Go 1.22).
    pub request_pat: u16,
    /// `http.pattern.str` (Go 1.22).
    pub pattern_str: u16,
    /// `http.response.conn`.
    pub response_conn: u16,
    /// `http.response.status`.
    pub response_status: u16,
    /// `http.response.req`.
    pub response_req: u16,
    /// `http.conn.remoteAddr`.
    pub conn_remote_addr: u16,
    /// `http.conn.bufr`.
    pub conn_bufr: u16,
    /// `http.connReader.conn`.
    pub conn_reader_conn: u16,
    /// `bufio.Reader.buf`, below [`READER_WINDOW`] as the next.
    pub reader_buf: u16,
    /// `bufio.Reader.r`.
    pub reader_r: u16,
    /// Number of bytes of `bufio.Reader` to read, at most [`READER_WINDOW`].
    pub reader_bytes: u16,
    /// How `http.Header` is walked.
    pub headers: MapWalk,
    /// Which flags of the saved flags register mean that the start site's stack check fails; see [`crate::abi::CHECK_NONE`].
    pub start_check: u8,
    /// The same for the end site.
    pub end_check: u8,
    /// The same for the hijack site.
    pub hijack_check: u8,
    /// The same for the release site.
    pub release_check: u8,
    /// The same for the abort site.
    pub abort_check: u8,
    /// 1: the start site is behind the call of `readRequest`, with its results (w *response, err error) in registers.
    pub start_after_read: u8,
    /// 1: the release site is the return of serve's deferred function, where no register names the connection.
    pub release_at_return: u8,
    /// 1: all that taking a request as text needs is known; 0: every request takes the slow way.
    pub text: u8,
    /// Zero.
    pub reserved: [u8; 4],
}

/// The part of `bufio.Reader` that is read: up to and with `r`.
pub const READER_WINDOW: usize = 64;
/// The most of `http.Request` that is read at the end.
pub const END_WINDOW: usize = 128;
/// The longest request line, without its version, that is compared with the text; beyond it the slow way is taken.
pub const LINE_BYTES: usize = 256;
/// Room for text in a small `KIND_BEGAN_WIRE` record.
pub const SMALL_TEXT: usize = 1024;
/// Room in a large one: longer text takes the slow way.
pub const LARGE_TEXT: usize = 4096;
/// Requests in flight and connections kept at once, over all processes, unless the agent says otherwise.
pub const DEFAULT_ENTRIES: u32 = 65_536;

/// Size of the programs' in-flight entry, pinned here for the agent, which removes those of processes that have ended. The
/// first word is the generation.
pub const IN_FLIGHT_BYTES: usize = 128;

/// A finished request, as it lies in the ring. Strings follow in fixed slots: [`SMALL`] or [`LARGE`], told by `kind`.
///
/// ```text
/// 0        Record        RECORD_BYTES
/// | header | method | uri | query | host | peer | client | pattern | user agent |   (slot sizes: Slots)
/// ```
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// [`KIND_SMALL`] or [`KIND_LARGE`]: which slots follow.
    pub kind: u32,
    /// Process id, as the agent's PID namespace numbers it.
    pub tgid: u32,
    /// CLOCK_MONOTONIC at handler entry.
    pub start_ns: u64,
    /// CLOCK_MONOTONIC at the end.
    pub end_ns: u64,
    /// The trace id.
    pub trace_id: [u8; 16],
    /// The span's own id.
    pub span_id: [u8; 8],
    /// The remote parent's id; zeros without one.
    pub parent_span_id: [u8; 8],
    /// W3C trace flags of this span.
    pub trace_flags: u8,
    /// 1 if the handler panicked.
    pub panicked: u8,
    /// 1 if the handler hijacked the connection.
    pub hijacked: u8,
    /// 1 if `Request.TLS` is set, 0 if not, [`TLS_UNKNOWN`].
    pub tls: u8,
    /// [`URI_REQUEST`], [`URI_RAW_PATH`] or [`URI_PATH`]: what the `uri` slot holds.
    pub uri_kind: u8,
    /// 1 if the `query` slot holds the query (see [`URI_REQUEST`]).
    pub has_query: u8,
    /// Zero.
    pub reserved: u16,
    /// `response.status`; 0 if the handler wrote nothing, which net/http sends as 200; [`STATUS_UNKNOWN`].
    pub status: u32,
    /// `Request.ProtoMajor`; 0 if it could not be read.
    pub proto_major: u16,
    /// `Request.ProtoMinor`.
    pub proto_minor: u16,
    /// The length of each string in the target, in the order of [`Slots`]; the slot holds at most its size of it.
    /// [`ABSENT`]: it could not be read, or is not known in this binary. [`AS_PEER`]: the same string as the peer's.
    pub lens: [u32; SLOT_COUNT],
}

/// `Request.TLS` could not be read.
pub const TLS_UNKNOWN: u8 = 2;
/// `response.status` could not be read.
pub const STATUS_UNKNOWN: u32 = u32::MAX;
/// A string that could not be read.
pub const ABSENT: u32 = u32::MAX;
/// A string that is the same memory as that of [`SLOT_PEER`], which the slot then does not repeat.
pub const AS_PEER: u32 = u32::MAX - 1;

/// The `uri` slot is `Request.RequestURI`, as on the wire (path, `?`, query; absolute form for proxies). When it is longer
/// than the slot, the `query` slot has the head of `URL.RawQuery` and `has_query` is 1.
pub const URI_REQUEST: u8 = 0;
/// The handler changed RequestURI: the `uri` slot is `URL.RawPath`, escaped; `query` is `URL.RawQuery`.
pub const URI_RAW_PATH: u8 = 1;
/// The handler changed RequestURI: the `uri` slot is `URL.Path`, to be escaped as `URL.EscapedPath` does; `query` as above.
pub const URI_PATH: u8 = 2;

/// Record with [`SMALL`] slots.
pub const KIND_SMALL: u32 = 1;
/// Record with [`LARGE`] slots.
pub const KIND_LARGE: u32 = 2;

/// Number of string slots.
pub const SLOT_COUNT: usize = 8;
/// `Request.Method`, read at entry.
pub const SLOT_METHOD: usize = 0;
/// See [`URI_REQUEST`].
pub const SLOT_URI: usize = 1;
/// `URL.RawQuery` where `uri` does not hold it.
pub const SLOT_QUERY: usize = 2;
/// `Request.Host`.
pub const SLOT_HOST: usize = 3;
/// `conn.remoteAddr`: the socket's peer.
pub const SLOT_PEER: usize = 4;
/// `Request.RemoteAddr`: what the application takes for the client's address.
pub const SLOT_CLIENT: usize = 5;
/// `Request.Pattern`, or `pat.str`.
pub const SLOT_PATTERN: usize = 6;
/// The `User-Agent` header, read at entry.
pub const SLOT_USER_AGENT: usize = 7;

/// Slot sizes in bytes, in the order of the `SLOT_` constants.
pub type Slots = [usize; SLOT_COUNT];
/// Slots of a [`KIND_SMALL`] record.
pub const SMALL: Slots = [METHOD_BYTES, 256, 0, 64, 64, 64, 128, USER_AGENT_BYTES];
/// Slots of a [`KIND_LARGE`] record.
pub const LARGE: Slots = [METHOD_BYTES, 4096, 2048, 256, 256, 256, 512, USER_AGENT_BYTES];
/// Bytes of the method that are kept.
pub const METHOD_BYTES: usize = 32;
/// Bytes of the user agent that are kept.
pub const USER_AGENT_BYTES: usize = 256;

/// Where a slot starts in the record.
pub const fn slot_offset(slots: &Slots, slot: usize) -> usize {
    let mut offset = size_of::<Record>();
    let mut i = 0;
    while i < slot {
        offset += slots[i];
        i += 1;
    }
    offset
}

/// Size of a record with these slots.
pub const fn record_bytes(slots: &Slots) -> usize {
    slot_offset(slots, SLOT_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_programs() {
        assert_eq!(size_of::<File>(), 16 + 24 * 2 + 12 + 12);
        assert_eq!(size_of::<Record>(), 104);
        assert_eq!(record_bytes(&SMALL) % 8, 0);
    }
}
