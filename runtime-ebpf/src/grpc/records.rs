//! How the end of an RPC is told, at either side.
//!
//! ```text
//! KIND_ENDED    Ended
//! KIND_FAILED   Ended | the status's message in MESSAGE_BYTES
//! ```

use crate::record::Head;

/// An RPC has begun.
pub const KIND_BEGAN: u16 = 1;
/// The same with long strings.
pub const KIND_BEGAN_LARGE: u16 = 2;
/// It has ended, and its status has no message.
pub const KIND_ENDED: u16 = 3;
/// It has ended with a message.
pub const KIND_FAILED: u16 = 4;

/// The fixed part of an end.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Complete.
    pub head: Head,
    /// The status's code; [`super::CODE_UNREADABLE`].
    pub code: u32,
    /// 1: the server has no such method.
    pub is_unknown_method: u32,
    /// The message's length in the target.
    pub message_len: u32,
    /// Zero.
    pub reserved: u32,
}

/// Bytes of a message that are kept.
pub const MESSAGE_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<Ended>(), 72 + 16);
    }
}
