//! What the programs of `database/sql` send: a record when an operation begins, with its statement and what says which database it is,
//! and one when it ends. The agent joins them by span id. Nothing that was found at the beginning is followed at the end.
//!
//! ```text
//! KIND_BEGAN        Began | strings in BEGAN_SLOTS
//! KIND_BEGAN_LARGE  Began | strings in BEGAN_LARGE_SLOTS
//! KIND_ENDED        Head
//! KIND_FAILED       Failed | strings in ERROR_SLOTS
//! KIND_RESUMED      Head
//! ```
//! An operation whose connection turned out to be bad is tried again, mostly: another KIND_FAILED or KIND_ENDED of the same span takes the
//! place of a failure that is not final. KIND_RESUMED says that it is tried again.

use crate::{
    errors::{ERROR_BYTES, ERROR_SLOT_COUNT},
    record::Head,
};

/// An operation has begun.
pub const KIND_BEGAN: u16 = 1;
/// The same with long strings.
pub const KIND_BEGAN_LARGE: u16 = 2;
/// The driver has done it.
pub const KIND_ENDED: u16 = 3;
/// There was an error.
pub const KIND_FAILED: u16 = 4;
/// What has failed is tried again.
pub const KIND_RESUMED: u16 = 5;

/// The fixed part of a beginning.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// `end_ns` is 0.
    pub head: Head,
    /// The span of the operation before it on this goroutine, if that has no end. Zeros: there was none.
    pub before_span_id: [u8; 8],
    /// What it asks for: [`super::QUERY`] and the others.
    pub operation: u8,
    /// [`super::Connector::form`].
    pub form: u8,
    /// [`super::Connector::system`], the connector's or its driver's.
    pub system: u8,
    /// 1: the operation before it is still being made, and this one is made within it.
    pub is_within: u8,
    /// The port; 0: unknown.
    pub port: u32,
    /// The strings' lengths in the target, in the order of the `BEGAN_` slots.
    pub lens: [u32; BEGAN_SLOT_COUNT],
}

/// The statement.
pub const BEGAN_QUERY: usize = 0;
/// What says where the server is. It may have a password in it.
pub const BEGAN_ADDRESS: usize = 1;
/// The database.
pub const BEGAN_DATABASE: usize = 2;
/// The network.
pub const BEGAN_NETWORK: usize = 3;
/// Number of them.
pub const BEGAN_SLOT_COUNT: usize = 4;
/// Their sizes in bytes in a KIND_BEGAN record.
pub const BEGAN_SLOTS: [usize; BEGAN_SLOT_COUNT] = [256, 128, 32, 8];
/// Their sizes in a KIND_BEGAN_LARGE record.
pub const BEGAN_LARGE_SLOTS: [usize; BEGAN_SLOT_COUNT] = [3072, 512, 256, 32];

/// An error.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Complete.
    pub head: Head,
    /// 0: the connection was bad, and it may be tried again.
    pub is_final: u32,
    /// The strings' lengths, in the order of the `ERROR_` slots.
    pub lens: [u32; ERROR_SLOT_COUNT],
    /// The error's code, if that is a number.
    pub number: u64,
    /// The same, if it is a string.
    pub code: [u8; CODE_BYTES],
    /// Its length in the target.
    pub code_len: u32,
    /// What the code is: one of the `CODE_` constants.
    pub code_form: u32,
}

/// A SQLSTATE has five characters.
pub const CODE_BYTES: usize = 8;
/// Bytes of a KIND_FAILED record.
pub const FAILED_BYTES: usize = size_of::<Failed>() + ERROR_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<Began>(), 72 + 8 + 4 + 4 + 4 * BEGAN_SLOT_COUNT);
        assert_eq!(size_of::<Failed>(), 72 + 4 + 4 * ERROR_SLOT_COUNT + 8 + CODE_BYTES + 8);
        let large: usize = BEGAN_LARGE_SLOTS.iter().sum();
        assert!(size_of::<Began>() + large <= 4096);
        for (small, large) in BEGAN_SLOTS.iter().zip(BEGAN_LARGE_SLOTS) {
            assert!(*small <= large && small % 8 == 0 && large % 8 == 0);
        }
    }
}
