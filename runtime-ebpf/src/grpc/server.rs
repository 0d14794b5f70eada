//! gRPC's server: what its programs need to know of a file, and what they send when an RPC begins.
//!
//! ```text
//! KIND_BEGAN        Began | strings in BEGAN_SLOTS
//! KIND_BEGAN_LARGE  Began | strings in BEGAN_LARGE_SLOTS
//! ```

use super::StatusFields;
use crate::{abi::MapWalk, record::Head};

/// What the programs need to know of one file. Value of `GRPC_SERVER_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Address in the file of the start site: `ip - start_vaddr` is the load bias.
    pub start_vaddr: u64,
    /// Address in the file of `handleStream`, which itself answers what the server has no method for; 0: unknown.
    pub handle_vaddr: u64,
    /// Its length.
    pub handle_bytes: u64,
    /// Address in the file of the itab (transport.ServerTransport, *transport.http2Server); 0: unknown, as in those below.
    pub http2_itab_vaddr: u64,
    /// The same of *transport.serverHandlerTransport.
    pub handler_itab_vaddr: u64,
    /// The same of (net.Addr, *net.TCPAddr).
    pub tcp_itab_vaddr: u64,
    /// The same of (net.Addr, *net.UnixAddr).
    pub unix_itab_vaddr: u64,
    /// Addresses in the file of the itabs of (context.Context, *context.valueCtx), and of other types that begin with the context
    /// that they were made of.
    pub context_itab_vaddrs: [u64; CONTEXT_ITABS],
    /// Address in the file of the descriptor of `metadata.MD`; 0: unknown.
    pub metadata_vaddr: u64,
    /// Where a status lies.
    pub status: StatusFields,
    /// How metadata is walked.
    pub headers: MapWalk,
    /// From what `handleStream` is given to its `transport.Stream`.
    pub stream_at: u16,
    /// Number of bytes of `transport.Stream` to read, at most [`STREAM_WINDOW`], covering both offsets below.
    pub stream_bytes: u16,
    /// `transport.Stream.method`.
    pub stream_method: u16,
    /// `transport.Stream.ctx`.
    pub stream_ctx: u16,
    /// `transport.Stream.id`, four bytes at any multiple of them; [`crate::abi::NO_OFFSET`]: unknown, as in the next.
    pub stream_id: u16,
    /// `transport.http2Server.conn`.
    pub conn_net: u16,
    /// From an http2Server to its peer's `net.Addr`.
    pub peer_addr: u16,
    /// `net.TCPAddr.IP`, below [`TCP_WINDOW`] as the next.
    pub tcp_ip: u16,
    /// `net.TCPAddr.Port`.
    pub tcp_port: u16,
    /// Number of bytes of `net.TCPAddr` to read.
    pub tcp_bytes: u16,
    /// `net.UnixAddr.Name`.
    pub unix_name: u16,
    /// 1: at `stream_at` is a pointer to the `transport.Stream`; 0: it is there itself.
    pub stream_is_pointer: u8,
    /// Which flags of the saved flags register mean that the start site's stack check fails; see [`crate::abi::CHECK_NONE`].
    pub start_check: u8,
    /// The same for the end site.
    pub end_check: u8,
    /// The same for the end site of what net/http serves.
    pub handler_end_check: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

/// Types of contexts that are looked through for the metadata.
pub const CONTEXT_ITABS: usize = 3;
/// The most of `transport.Stream` that is read; offsets into it must leave 16 bytes.
pub const STREAM_WINDOW: usize = 256;
/// The most of `net.TCPAddr` that is read.
pub const TCP_WINDOW: usize = 64;
/// Size of the programs' in-flight entry, pinned here for the agent.
pub const IN_FLIGHT_BYTES: usize = 64 + 16;

/// The fixed part of a beginning.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// `end_ns` is 0.
    pub head: Head,
    /// The peer's port, if it has one.
    pub peer_port: u32,
    /// What the peer's string is: one of the `PEER_` constants.
    pub peer_kind: u32,
    /// The strings' lengths in the target, in the order of the `BEGAN_` slots.
    pub lens: [u32; BEGAN_SLOT_COUNT],
}

/// There is none.
pub const PEER_NONE: u32 = 0;
/// An IP address, of 4 or 16 bytes.
pub const PEER_IP: u32 = 1;
/// A unix socket's name.
pub const PEER_UNIX: u32 = 2;

/// `transport.Stream.method`: `/pkg.Service/Method`.
pub const BEGAN_METHOD: usize = 0;
/// `:authority` in the metadata.
pub const BEGAN_AUTHORITY: usize = 1;
/// The peer.
pub const BEGAN_PEER: usize = 2;
/// The `tracestate` behind a valid `traceparent`, several joined by commas.
pub const BEGAN_TRACESTATE: usize = 3;
/// Number of them.
pub const BEGAN_SLOT_COUNT: usize = 4;
/// Their sizes in bytes in a KIND_BEGAN record.
pub const BEGAN_SLOTS: [usize; BEGAN_SLOT_COUNT] = [128, 104, 24, 0];
/// Their sizes in a KIND_BEGAN_LARGE record.
pub const BEGAN_LARGE_SLOTS: [usize; BEGAN_SLOT_COUNT] = [256, 256, 112, 1024];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_programs() {
        assert_eq!(size_of::<File>(), 7 * 8 + 8 * CONTEXT_ITABS + 8 + 8 + 12 + 11 * 2 + 4 + 2);
        assert_eq!(size_of::<Began>(), 72 + 8 + 4 * BEGAN_SLOT_COUNT);
        for (small, large) in BEGAN_SLOTS.iter().zip(BEGAN_LARGE_SLOTS) {
            assert!(*small <= large && small % 8 == 0 && large % 8 == 0);
        }
    }
}
