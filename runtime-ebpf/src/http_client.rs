//! What the libraries that call over HTTP have in common: what their programs need to know of a file, and what they send
//! ([`records`]) and count ([`counters`]).

pub mod counters;
pub mod records;

use crate::{
    abi::{MapWalk, SPAN_BYTES},
    errors::Errors,
};

/// The most of `http.Request` that is read in one go; offsets into it must leave 16 bytes.
pub const REQUEST_WINDOW: usize = 512;
/// The same of `url.URL`.
pub const URL_WINDOW: usize = 256;
/// The same of `http.Response`.
pub const RESPONSE_WINDOW: usize = 256;

/// What the programs need to know of one file. Value of `<ID>_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Address in the file of the start site: `ip - start_vaddr` is the load bias.
    pub start_vaddr: u64,
    /// The same of the function that the start site's was copied into; 0: of none.
    pub copied_vaddr: u64,
    /// The same of the site behind the search for a connection; 0: there is none.
    pub conn_vaddr: u64,
    /// What tells errors.
    pub errors: Errors,
    /// Number of bytes of `http.Request` to read, at most [`REQUEST_WINDOW`], covering all of its offsets below.
    pub request_bytes: u16,
    /// `http.Request.Method`.
    pub request_method: u16,
    /// `http.Request.URL`.
    pub request_url: u16,
    /// `http.Request.Header`.
    pub request_header: u16,
    /// `http.Request.Response`.
    pub request_response: u16,
    /// `http.Request.ctx`.
    pub request_ctx: u16,
    /// Number of bytes of `url.URL` to read, at most [`URL_WINDOW`].
    pub url_bytes: u16,
    /// `url.URL.Scheme`.
    pub url_scheme: u16,
    /// `url.URL.Opaque`.
    pub url_opaque: u16,
    /// `url.URL.User`.
    pub url_user: u16,
    /// `url.URL.Host`.
    pub url_host: u16,
    /// `url.URL.Path`.
    pub url_path: u16,
    /// `url.URL.RawPath`.
    pub url_raw_path: u16,
    /// `url.URL.RawQuery`.
    pub url_raw_query: u16,
    /// `url.URL.Fragment`.
    pub url_fragment: u16,
    /// Number of bytes of `http.Response` to read, at most [`RESPONSE_WINDOW`].
    pub response_bytes: u16,
    /// `http.Response.StatusCode`.
    pub response_status: u16,
    /// `http.Response.ProtoMajor`.
    pub response_proto_major: u16,
    /// `http.Response.ProtoMinor`.
    pub response_proto_minor: u16,
    /// `http.Response.Request`.
    pub response_request: u16,
    /// `StatusCode` of the `http2.ClientResponse` that HTTP/2 gives since Go 1.27.
    pub h2_status: u16,
    /// Which flags of the saved flags register mean that the start site's stack check fails; see [`crate::abi::CHECK_NONE`].
    pub start_check: u8,
    /// The same at `copied_vaddr`.
    pub copied_check: u8,
    /// 1: HTTP/2 gives a `http2.ClientResponse` and no `http.Response`.
    pub h2_own_response: u8,
    /// Which flags mean that the stream site's stack check fails.
    pub stream_check: u8,
    /// 1: HTTP/2's streams are seen where they are sent.
    pub streams: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// `net/http.persistConn.conn`; [`crate::abi::NO_OFFSET`]: unknown, as in those below.
    pub conn_net: u16,
    /// `net/http.persistConn.alt`.
    pub conn_alt: u16,
    /// `Header` of the request that the stream site is given.
    pub stream_header: u16,
    /// `clientStream.ID`.
    pub stream_id: u16,
    /// `clientStream.ctx`.
    pub stream_ctx: u16,
    /// `clientStream.cc`.
    pub stream_conn: u16,
    /// `ClientConn.tconn`.
    pub h2_conn_net: u16,
    /// What puts the trace context into requests.
    pub carrier: Carrier,
}

/// What the programs need to know of a file that write the trace context into requests.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    /// Address in the file of the itab of `io.Writer` for `*bufio.Writer`.
    pub buffered_itab: u64,
    /// The same for `net/http.persistConnWriter`, which is a `*persistConn`.
    pub connection_itab: u64,
    /// How `Request.Header` is walked.
    pub walk: MapWalk,
    /// `bufio.Writer.buf`.
    pub buffer: u16,
    /// `bufio.Writer.n`.
    pub used: u16,
    /// `bufio.Writer.wr`.
    pub below: u16,
    /// `Framer.wbuf` of HTTP/2.
    pub frame: u16,
    /// Zero.
    pub reserved: [u8; 4],
}

/// Connections whose requests are about to be written, over all processes: what lies between two hits that follow one another at once.
pub const CARRIED_ENTRIES: u32 = 8_192;

/// Size of the programs' in-flight entry, pinned here for the agent, which removes those of processes that have ended. The
/// first word is the generation.
pub const IN_FLIGHT_BYTES: usize = SPAN_BYTES + 7 * 8;

/// Round trips in flight at once, over all processes, unless the agent says otherwise.
pub const DEFAULT_ENTRIES: u32 = 65_536;

/// The status could not be read.
pub const STATUS_UNKNOWN: u32 = u32::MAX;

/// Of a chain of redirects no more than this many are counted.
pub const MOST_RESENDS: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_programs() {
        assert_eq!(size_of::<File>(), 3 * 8 + size_of::<Errors>() + 28 * 2 + 5 + 3 + size_of::<Carrier>());
        assert_eq!(size_of::<Carrier>(), 2 * 8 + size_of::<MapWalk>() + 4 * 2 + 4);
    }
}
