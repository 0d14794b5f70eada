//! `net/http.server`: what its programs need to know of a file, and what they count ([`counters`]).

use crate::{
    abi::MapWalk,
    http_server::{LastFields, RequestFields},
};

pub mod counters;

/// What the programs need to know of one file. Value of `NET_HTTP_SERVER_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Address in the file of the start site: `ip - start_vaddr` is the load bias.
    pub start_vaddr: u64,
    /// Address in the file of the itab (net/http.ResponseWriter, *net/http.response).
    pub writer_itab_vaddr: u64,
    /// Where a request's fields lie when it begins: all of them in `http.Request`.
    pub request: RequestFields,
    /// The same when it ends.
    pub last: LastFields,
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
    /// `http.conn.rwc`.
    pub conn_net: u16,
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
    pub reserved: [u8; 7],
}

/// The part of `bufio.Reader` that is read: up to and with `r`.
pub const READER_WINDOW: usize = 64;
/// The longest request line, without its version, that is compared with the text; beyond it the slow way is taken.
pub const LINE_BYTES: usize = 256;
/// Room for text in a small `KIND_BEGAN_WIRE` record.
pub const SMALL_TEXT: usize = 1024;
/// Room in a large one: longer text takes the slow way.
pub const LARGE_TEXT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_programs() {
        assert_eq!(size_of::<File>(), 16 + 20 + 12 + 10 * 2 + 12 + 9 + 7);
    }
}
