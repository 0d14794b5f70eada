//! `traceparent` (W3C Trace Context level 2, semconv.md §4.1) out of the target's memory.

use runtime_ebpf::trace_parent::{TEXT_AT, TraceParent, V00_BYTES, of_digits, of_words};

use crate::read::{GoString, load_u8, load_u16, load_u32, load_u64, read_bytes};

/// Parses the header value `text`; `None` if it is invalid (or could not be read, which is counted).
#[inline(always)]
pub fn parse(text: GoString) -> Option<TraceParent> {
    if text.len < V00_BYTES {
        return None;
    }
    let mut words = [0u64; 8];
    let extra = u32::from(text.len > V00_BYTES);
    // SAFETY: 5 + 56 bytes are within the buffer.
    let place = unsafe { words.as_mut_ptr().cast::<u8>().add(TEXT_AT) };
    if !read_bytes(place, V00_BYTES as u32 + extra, text.address) {
        return None;
    }
    of_words(&words, text.len)
}

/// Parses a version 00 header that stands in a record and ends with its line. `None`: it is something else, valid or not.
///
/// # Safety
///
/// `text` has 64 bytes, all of which the verifier allows to be read.
#[inline(always)]
pub unsafe fn of_text(text: *const u8) -> Option<TraceParent> {
    macro_rules! at {
        ($load:ident, $offset:literal) => {
            // SAFETY: the caller's.
            unsafe { $load(text.add($offset)) }
        };
    }
    let lead = at!(load_u32, 0);
    if lead & 0xff_ffff != u32::from_le_bytes(*b"00-\0")
        || at!(load_u8, 35) != b'-'
        || at!(load_u8, 52) != b'-'
    {
        return None;
    }
    let end = at!(load_u16, 55);
    if end as u8 != b'\n' && end != u16::from_le_bytes(*b"\r\n") {
        return None;
    }
    let trace = [at!(load_u64, 3), at!(load_u64, 11), at!(load_u64, 19), at!(load_u64, 27)];
    of_digits(trace, [at!(load_u64, 36), at!(load_u64, 44)], at!(load_u16, 53) as u64)
}
