//! gRPC's client: what its programs need to know of a file, and what they send when an RPC begins.
//!
//! ```text
//! KIND_BEGAN        Began | strings in BEGAN_SLOTS
//! KIND_BEGAN_LARGE  Began | strings in BEGAN_LARGE_SLOTS
//! ```

use super::StatusFields;
use crate::{abi::SPAN_BYTES, errors::Errors, record::Head};

/// What the programs need to know of one file. Value of `GRPC_CLIENT_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Address in the file of the start site: `ip - start_vaddr` is the load bias.
    pub start_vaddr: u64,
    /// Address in the file of the descriptor of `*internal/status.Error`; 0: unknown.
    pub status_error_vaddr: u64,
    /// How errors are told that hold another.
    pub errors: Errors,
    /// Where a status lies.
    pub status: StatusFields,
    /// `internal/status.Error.s`.
    pub error_status: u16,
    /// `ClientConn.target`.
    pub conn_target: u16,
    /// `clientStream.cc`.
    pub stream_conn: u16,
    /// Which flags of the saved flags register mean that the start site's stack check fails; see [`crate::abi::CHECK_NONE`].
    pub start_check: u8,
    /// The same for the bind site.
    pub bind_check: u8,
    /// The same for the end site.
    pub end_check: u8,
    /// The same for the send site.
    pub send_check: u8,
    /// Which of its function's arguments has the frame; 0: none, it has the stream's number and the fields themselves.
    pub frame_argument: u8,
    /// 1: the fields site is a call with the frame, which has the fields; 0: it has the fields themselves.
    pub frame_has_fields: u8,
    /// `golang.org/x/net/http2.Framer.wbuf`; [`crate::abi::NO_OFFSET`]: unknown, as in those below.
    pub frame: u16,
    /// `hpack.HeaderField.Name`.
    pub field_name: u16,
    /// Bytes of a `hpack.HeaderField`; 0: not known.
    pub field_bytes: u16,
    /// Who passes the site where a stream is bound, and has what for its first argument: a `BIND_` number.
    pub bind: u8,
    /// Zero.
    pub reserved: u8,
    /// `streamID` of the frame that is sent, four bytes at any multiple of them.
    pub frame_stream: u16,
    /// Its `hf`.
    pub frame_fields: u16,
    /// `transport.loopyWriter.conn`.
    pub writer_net: u16,
    /// `transport.loopyWriter.framer`, where it has no `conn`.
    pub writer_framer: u16,
    /// `transport.framer.writer`.
    pub framer_writer: u16,
    /// `transport.bufWriter.conn`.
    pub buffered_net: u16,
    /// Address in the file of the send site.
    pub send_vaddr: u64,
    /// `csAttempt.cs`.
    pub attempt_stream: u16,
    /// `csAttempt.transport`, an interface.
    pub attempt_transport: u16,
    /// `transport.http2Client.activeStreams`.
    pub transport_streams: u16,
    /// `transport.http2Client.conn`.
    pub transport_net: u16,
    /// `clientStream.firstAttempt`, one byte.
    pub stream_first: u16,
    /// `clientStream.attempt`.
    pub stream_attempt: u16,
    /// Zero.
    pub reserved_end: u32,
}

/// [`File::bind`]: a call, once, with its `*clientStream`.
pub const BIND_CALL: u8 = 0;
/// Each attempt, before it has a transport, with its `*clientStream`.
pub const BIND_ATTEMPTS: u8 = 1;
/// Each attempt, with its `*csAttempt`, which has both.
pub const BIND_ATTEMPT: u8 = 2;

/// Size of the programs' in-flight entry, pinned here for the agent.
pub const IN_FLIGHT_BYTES: usize = 64 + 40;

/// What an entry's state has where an RPC has a stream, whose entry is the RPC's.
pub const BOUND: u32 = 2;
/// And where that entry has the stream's address, by which it is found.
pub const STREAM_AT: usize = SPAN_BYTES + 8;

/// The fixed part of a beginning.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// `end_ns` is 0.
    pub head: Head,
    /// The strings' lengths in the target, in the order of the `BEGAN_` slots.
    pub lens: [u32; BEGAN_SLOT_COUNT],
}

/// The method: `/pkg.Service/Method`.
pub const BEGAN_METHOD: usize = 0;
/// `ClientConn.target`: what the channel was made with.
pub const BEGAN_TARGET: usize = 1;
/// Number of them.
pub const BEGAN_SLOT_COUNT: usize = 2;
/// Their sizes in bytes in a KIND_BEGAN record.
pub const BEGAN_SLOTS: [usize; BEGAN_SLOT_COUNT] = [128, 64];
/// Their sizes in a KIND_BEGAN_LARGE record.
pub const BEGAN_LARGE_SLOTS: [usize; BEGAN_SLOT_COUNT] = [256, 256];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_programs() {
        assert_eq!(size_of::<File>(), 16 + size_of::<Errors>() + 8 + 9 * 2 + 6 + 8 + 8 + 8 + 8);
        assert_eq!(size_of::<Began>(), 72 + 4 * BEGAN_SLOT_COUNT);
        for (small, large) in BEGAN_SLOTS.iter().zip(BEGAN_LARGE_SLOTS) {
            assert!(*small <= large && small % 8 == 0 && large % 8 == 0);
        }
    }
}
