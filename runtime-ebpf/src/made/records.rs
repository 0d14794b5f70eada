//! What the programs of spans made by hand send, by the ring of large records: one record for each span, when it has ended.
//!
//! ```text
//! KIND_ENDED   Ended | the span as the Auto SDK has written it down: OTLP's JSON, a `TracesData`
//! ```

use crate::record::Head;

/// A span has ended.
pub const KIND_ENDED: u16 = 1;

/// What stands before the JSON.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Complete. Its times are those at which the programs were hit; the JSON has the span's own.
    pub head: Head,
    /// Bytes of JSON.
    pub json_bytes: u64,
}

/// Room for JSON in records of each size: the smallest that it fits into is taken, since a program can ask for constant sizes alone.
pub const ROOMS: [usize; 4] = [512, 2 << 10, 8 << 10, MAX_JSON_BYTES];
/// The longest JSON that is sent.
pub const MAX_JSON_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<Ended>(), 80);
    }
}
