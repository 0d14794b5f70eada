//! What gRPC's server and client have in common: where a status lies, how an RPC's end is told ([`records`]). What each needs to
//! know of a file, and what its programs send when an RPC begins, is in a module of its own.

pub mod client;
pub mod records;
pub mod server;

/// Where a status lies. `*status.Status` holds a `*spb.Status`, which holds code and message.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusFields {
    /// `internal/status.Status.s`.
    pub proto: u16,
    /// `google.rpc.Status.Code`, 4 bytes at any multiple of them.
    pub code: u16,
    /// `google.rpc.Status.Message`.
    pub message: u16,
    /// Zero.
    pub reserved: u16,
}

/// The code of success.
pub const CODE_OK: u32 = 0;
/// The code of what fails with an error that is no status.
pub const CODE_UNKNOWN: u32 = 2;
/// The code could not be read.
pub const CODE_UNREADABLE: u32 = u32::MAX;

/// RPCs in flight at once, over all processes, unless the agent says otherwise.
pub const DEFAULT_ENTRIES: u32 = 65_536;
