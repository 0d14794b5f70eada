//! `net/http.server`: configuration per process, in-flight state, and the record of a finished request.

use crate::sampler::Sampler;

pub mod records;

/// Marks an offset that is not known: what needs it is left out. Valid offsets are below [`MAX_OFFSET`].
pub const NO_OFFSET: u16 = u16::MAX;
/// Offsets of single fields must be below this (they are read at `base + offset`).
pub const MAX_OFFSET: u16 = 4096;
/// The part of `http.Request` that is read in one go at the end; offsets into it must leave 16 bytes.
pub const REQUEST_WINDOW: usize = 512;
/// The part of it that is read at the start: the request line and the headers.
pub const START_WINDOW: usize = USER_AGENT_BYTES;
/// The part of `http.response` that is read in one go at the end.
pub const RESPONSE_WINDOW: usize = 256;

/// What the programs need to know of one process. Value of `NET_HTTP_SERVER`, keyed by tgid.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Address in the file of the start site: `ip - start_vaddr` is the load bias.
    pub start_vaddr: u64,
    /// Address in the file of the itab (net/http.ResponseWriter, *net/http.response).
    pub writer_itab_vaddr: u64,
    /// Who is sampled.
    pub sampler: Sampler,
    /// Number of bytes of `http.Request` to read, at most [`REQUEST_WINDOW`], covering all offsets below.
    pub request_bytes: u16,
    /// The same for the fields that are read at the start, at most [`START_WINDOW`].
    pub start_bytes: u16,
    /// The same for `http.response`, at most [`RESPONSE_WINDOW`].
    pub response_bytes: u16,
    /// `http.Request.Method`.
    pub request_method: u16,
    /// `http.Request.URL`.
    pub request_url: u16,
    /// `http.Request.ProtoMajor`.
    pub request_proto_major: u16,
    /// `http.Request.ProtoMinor`.
    pub request_proto_minor: u16,
    /// `http.Request.Header`.
    pub request_header: u16,
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
    /// `url.URL.Path`.
    pub url_path: u16,
    /// `url.URL.RawPath`.
    pub url_raw_path: u16,
    /// `url.URL.RawQuery`.
    pub url_raw_query: u16,
    /// [`HEADERS_NONE`], [`HEADERS_HMAP`], [`HEADERS_SWISS`] or [`HEADERS_SWISS_SPLIT`].
    pub headers: u8,
    /// Which flags of the saved flags register mean that the start site's stack check fails; see [`CHECK_NONE`].
    pub start_check: u8,
    /// The same for the end site.
    pub end_check: u8,
    /// The same for the hijack site.
    pub hijack_check: u8,
    /// The same for the abort site.
    pub abort_check: u8,
    /// 1: `traceparent` is not looked at (`OTEL_PROPAGATORS` without `tracecontext`).
    pub ignore_parent: u8,
    /// 1: the start site is behind the call of `readRequest`, with its results (w *response, err error) in registers.
    pub start_after_read: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

/// Do not read headers.
pub const HEADERS_NONE: u8 = 0;
/// `runtime.hmap`: keys at 8+16i, elements at 136+24i, overflow pointer at 328.
pub const HEADERS_HMAP: u8 = 1;
/// Swiss groups with interleaved slots: keys at 8+40i, elements at 24+40i.
pub const HEADERS_SWISS: u8 = 2;
/// Swiss groups with split slots (`GOEXPERIMENT=mapsplitgroup`): keys at 8+16i, elements at 136+24i.
pub const HEADERS_SWISS_SPLIT: u8 = 3;

/// The site is after the stack check: every hit counts.
pub const CHECK_NONE: u8 = 0;
/// The site is a `jbe` (amd64, CF or ZF) or a `b.ls` (arm64, C clear or Z set).
pub const CHECK_BELOW_OR_EQUAL: u8 = 1;
/// The site is a `jb` (amd64, CF) or a `b.lo` (arm64, C clear).
pub const CHECK_BELOW: u8 = 2;

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

/// Size of the programs' in-flight entry, pinned here for the agent, which removes those of processes that have ended.
pub const IN_FLIGHT_BYTES: usize = 96 + METHOD_BYTES + USER_AGENT_BYTES;

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

/// A valid `traceparent`. Words hold the bytes of the ids in memory order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// Trace id.
    pub trace_id: [u64; 2],
    /// The parent's span id.
    pub span_id: u64,
    /// Trace flags.
    pub flags: u8,
}

/// Eight lowercase hex digits, first one in the lowest byte, as the four bytes they spell, first one lowest; `None` if any
/// is not a lowercase hex digit.
///
/// All eight at once: nibble = low four bits, plus 9 for letters; the digits are then spelled again and compared, which
/// catches everything but `g` to `o`, whose nibbles exceed 15.
#[inline(always)]
pub fn hex8(digits: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let letters = (digits >> 6) & ONES;
    let nibbles = (digits & (ONES * 0x0f)).wrapping_add(letters * 9);
    let above_9 = (nibbles.wrapping_add(ONES * 0x76) >> 7) & ONES;
    let spelled = nibbles.wrapping_add(ONES * 0x30).wrapping_add(above_9 * 0x27);
    if spelled != digits || nibbles & (ONES * 0xf0) != 0 {
        return None;
    }
    let pairs = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | (pairs >> 8)) & 0x0000_ffff_0000_ffff;
    Some((quads | (quads >> 16)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_programs() {
        assert_eq!(size_of::<Config>(), 88);
        assert_eq!(size_of::<Record>(), 104);
        assert_eq!(record_bytes(&SMALL) % 8, 0);
        assert!(slot_offset(&SMALL, SLOT_COUNT) >= size_of::<Record>() + REQUEST_WINDOW + RESPONSE_WINDOW);
    }

    #[test]
    fn hex_accepts_exactly_the_lowercase_digits() {
        for byte in 0..=255u8 {
            let text = [b'0', b'f', byte, b'9', b'a', b'0', b'1', b'2'];
            let expected = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert_eq!(hex8(u64::from_le_bytes(text)).is_some(), expected, "{byte:#x}");
        }
        assert_eq!(
            hex8(u64::from_le_bytes(*b"0af76519")),
            Some(u32::from_le_bytes([0x0a, 0xf7, 0x65, 0x19]))
        );
    }
}
