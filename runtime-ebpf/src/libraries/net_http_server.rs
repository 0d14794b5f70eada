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
    /// `http.Request.ctx`.
    pub request_ctx: u16,
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
    /// 1: the end site is a call of `abortPendingRead`, with the connection's reader for an argument in place of the response.
    pub end_by_reader: u8,
    /// Zero.
    pub reserved: u8,
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

/// `Request.TLS` could not be read.
pub const TLS_UNKNOWN: u8 = 2;
/// `response.status` could not be read.
pub const STATUS_UNKNOWN: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_programs() {
        assert_eq!(size_of::<File>(), 16 + 25 * 2 + 12 + 10);
    }
}
