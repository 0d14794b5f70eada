//! How every record in the ring begins, whichever library wrote it, so that the agent can sort records by process and library
//! before it looks inside.
//!
//! ```text
//! 0   library u16 | kind u16 | len u32
//! 8   tgid u32 | generation u32
//! 16  start_ns u64 | end_ns u64
//! 32  trace_id [16] | span_id [8] | parent_span_id [8]
//! 64  trace_flags u8 | parent u8 | reserved [6]
//! 72  what the library adds
//! ```

/// The head of a record.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which library wrote it: a code of [`crate::libraries`].
    pub library: u16,
    /// What it is; the numbers are the library's own.
    pub kind: u16,
    /// Bytes of the record that mean something, this head included. The reservation in the ring may be longer.
    pub len: u32,
    /// Process id (thread group id) in the initial PID namespace, whatever the agent's is.
    pub tgid: u32,
    /// The process's generation, as the agent had configured it: an exec or a reused tgid has another.
    pub generation: u32,
    /// CLOCK_MONOTONIC at the operation's start.
    pub start_ns: u64,
    /// CLOCK_MONOTONIC at its end; 0 in a record of an operation that goes on.
    pub end_ns: u64,
    /// The trace id.
    pub trace_id: [u8; 16],
    /// The span's own id.
    pub span_id: [u8; 8],
    /// The parent's span id; zeros without one.
    pub parent_span_id: [u8; 8],
    /// W3C trace flags of this span.
    pub trace_flags: u8,
    /// [`PARENT_NONE`], [`PARENT_REMOTE`], [`PARENT_LOCAL`] or [`PARENT_SENDER`].
    pub parent: u8,
    /// Zero.
    pub reserved: [u8; 6],
}

/// A root span.
pub const PARENT_NONE: u8 = 0;
/// The parent came over the wire.
pub const PARENT_REMOTE: u8 = 1;
/// The parent is a span of the same process.
pub const PARENT_LOCAL: u8 = 2;
/// The parent is who has sent the request, which did not say so itself ([`crate::sockets`]).
pub const PARENT_SENDER: u8 = 3;

/// Whether the parent is a span of another process.
pub fn is_remote(parent: u8) -> bool {
    parent == PARENT_REMOTE || parent == PARENT_SENDER
}

/// The length of a string that could not be read, or is not known in this binary.
pub const ABSENT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_has_no_padding() {
        assert_eq!(size_of::<Head>(), 72);
        assert_eq!(align_of::<Head>(), 8);
    }
}
