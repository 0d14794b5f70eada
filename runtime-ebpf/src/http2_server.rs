//! HTTP/2 servers: what their programs need to know of a file. The implementation has several packages (in net/http's bundle, in
//! `net/http/internal/http2`, in golang.org/x/net), each with a library of its own; what those have in common is here.
//!
//! Records and counters are those of all HTTP servers ([`crate::http_server`]).

use crate::{
    abi::MapWalk,
    http_server::{LastFields, RequestFields},
};

/// What the programs need to know of one file. Value of `<ID>_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Address in the file of the start site: `ip - start_vaddr` is the load bias.
    pub start_vaddr: u64,
    /// Where a request's fields lie when it begins: in `http.Request`, or in `http2.ServerRequest` (Go 1.27).
    pub request: RequestFields,
    /// Where they lie in `http.Request` when it ends.
    pub last: LastFields,
    /// How `http.Header` is walked.
    pub headers: MapWalk,
    /// `serverConn.remoteAddrStr`.
    pub conn_remote_addr: u16,
    /// `serverConn.conn`.
    pub conn_net: u16,
    /// `responseWriter.rws`.
    pub writer_state: u16,
    /// `responseWriterState.stream`.
    pub state_stream: u16,
    /// `responseWriterState.status`.
    pub state_status: u16,
    /// Number of bytes of `responseWriterState` to read, at most [`STATE_WINDOW`].
    pub state_bytes: u16,
    /// `stream.id`, with four bytes behind it that mean nothing.
    pub stream_id: u16,
    /// `stream.state`.
    pub stream_state: u16,
    /// Number of bytes of `stream` to read, at most [`STREAM_WINDOW`].
    pub stream_bytes: u16,
    /// `http.Request.Header`.
    pub handled_header: u16,
    /// Which flags of the saved flags register mean that the start site's stack check fails; see [`crate::abi::CHECK_NONE`].
    pub start_check: u8,
    /// The same for the end site.
    pub end_check: u8,
    /// 1: the handler gets an `http.Request` of its own, which the start site does not see (Go 1.27).
    pub translates: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

/// The most of `responseWriterState` that is read.
pub const STATE_WINDOW: usize = 256;
/// The most of `stream` that is read.
pub const STREAM_WINDOW: usize = 128;

/// `stateClosed` of `streamState`, in all versions.
pub const STREAM_CLOSED: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_programs() {
        assert_eq!(size_of::<File>(), 8 + 20 + 12 + 12 + 10 * 2 + 3 + 5);
    }
}
