//! What the programs of libraries that call over HTTP send: a record when a round trip begins, with its method and URL, and a small one
//! when it ends. The agent joins them by span id. Nothing that was found at the beginning is followed at the end.
//!
//! ```text
//! KIND_BEGAN        Began | strings in BEGAN_SLOTS
//! KIND_BEGAN_LARGE  Began | strings in BEGAN_LARGE_SLOTS
//! KIND_ENDED        Ended
//! KIND_FAILED       Failed | strings in ERROR_SLOTS
//! KIND_RESUMED      Head
//! ```
//! An attempt on a connection that had died may be repeated by the library within the same round trip, and nothing at its failure
//! says whether it will be. So another KIND_FAILED or KIND_ENDED of the same span takes the place of a failure before it;
//! KIND_RESUMED says that the repetition has its connection.

use crate::errors::{ERROR_BYTES, ERROR_SLOT_COUNT};
use crate::record::Head;

/// A round trip has begun.
pub const KIND_BEGAN: u16 = 1;
/// The same with long strings.
pub const KIND_BEGAN_LARGE: u16 = 2;
/// The response's header has arrived.
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
    /// The span of the round trip before it on this goroutine, if that has no end: it has failed and was not tried again, or no
    /// request was sent. Zeros: there was none.
    pub before_span_id: [u8; 8],
    /// How many responses led here by redirects, at most [`super::MOST_RESENDS`].
    pub resends: u32,
    /// 1 if the URL has credentials.
    pub has_user: u32,
    /// The strings' lengths in the target, in the order of the `BEGAN_` slots.
    pub lens: [u32; BEGAN_SLOT_COUNT],
}

/// `Request.Method`.
pub const BEGAN_METHOD: usize = 0;
/// `URL.Scheme`.
pub const BEGAN_SCHEME: usize = 1;
/// `URL.Host`.
pub const BEGAN_HOST: usize = 2;
/// `URL.Path`.
pub const BEGAN_PATH: usize = 3;
/// `URL.RawPath`.
pub const BEGAN_RAW_PATH: usize = 4;
/// `URL.RawQuery`.
pub const BEGAN_QUERY: usize = 5;
/// `URL.Fragment`.
pub const BEGAN_FRAGMENT: usize = 6;
/// `URL.Opaque`.
pub const BEGAN_OPAQUE: usize = 7;
/// Number of them.
pub const BEGAN_SLOT_COUNT: usize = 8;
/// Their sizes in bytes in a KIND_BEGAN record.
pub const BEGAN_SLOTS: [usize; BEGAN_SLOT_COUNT] = [16, 8, 64, 128, 32, 128, 16, 8];
/// Their sizes in a KIND_BEGAN_LARGE record.
pub const BEGAN_LARGE_SLOTS: [usize; BEGAN_SLOT_COUNT] = [32, 16, 256, 1024, 1024, 1024, 128, 128];

/// A response.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Complete.
    pub head: Head,
    /// `Response.StatusCode`; [`super::STATUS_UNKNOWN`].
    pub status: u32,
    /// `Response.ProtoMajor`; 0: unknown.
    pub proto_major: u16,
    /// `Response.ProtoMinor`.
    pub proto_minor: u16,
}

/// An error.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Complete.
    pub head: Head,
    /// 1: there was no connection, and nothing is tried again.
    pub is_final: u32,
    /// The strings' lengths, in the order of the `ERROR_` slots.
    pub lens: [u32; ERROR_SLOT_COUNT],
}

/// Bytes of a KIND_FAILED record.
pub const FAILED_BYTES: usize = size_of::<Failed>() + ERROR_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<Began>(), 72 + 8 + 8 + 4 * BEGAN_SLOT_COUNT);
        assert_eq!(size_of::<Ended>(), 72 + 8);
        assert_eq!(size_of::<Failed>(), 72 + 4 + 4 * ERROR_SLOT_COUNT);
        let large: usize = BEGAN_LARGE_SLOTS.iter().sum();
        assert!(size_of::<Began>() + large <= 4096);
        for (small, large) in BEGAN_SLOTS.iter().zip(BEGAN_LARGE_SLOTS) {
            assert!(*small <= large && small % 8 == 0 && large % 8 == 0);
        }
    }
}
