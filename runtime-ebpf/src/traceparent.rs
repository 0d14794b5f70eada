//! `traceparent` (W3C Trace Context level 2, semconv.md §4.1) out of the target's memory.
//!
//! The stack wants aligned loads and the header's fields are not aligned to each other: it is read to where the trace id's
//! digits start on a multiple of 8, and the span id's are shifted into place.
//!
//! ```text
//!      00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//! at 5 ^  ^ 8                              ^ 41             ^ 58
//! ```

use runtime_ebpf::trace_parent::{TraceParent, hex8};

use crate::read::{GoString, load_u8, load_u16, load_u32, load_u64, read_bytes};

/// Bytes of a version 00 header.
const V00_BYTES: u64 = 55;

/// Parses the header value `text`; `None` if it is invalid (or could not be read, which is counted).
#[inline(always)]
pub fn parse(text: GoString) -> Option<TraceParent> {
    if text.len < V00_BYTES {
        return None;
    }
    let mut words = [0u64; 8];
    let extra = u32::from(text.len > V00_BYTES);
    // SAFETY: 5 + 56 bytes are within the buffer.
    if !unsafe { read_bytes(words.as_mut_ptr().cast::<u8>().add(5), V00_BYTES as u32 + extra, text.address) }
    {
        return None;
    }
    let lead = words[0] >> 40; // bytes 5, 6, 7: version and dash
    let version = byte(lead, 0) << 8 | byte(lead, 1);
    let dash = b'-' as u64;
    if byte(lead, 2) != dash || byte(words[5], 0) != dash || byte(words[7], 1) != dash {
        return None;
    }
    if !version_allows(version, extra != 0, byte(words[7], 4)) {
        return None;
    }
    let (a, b, c, d) = (hex8(words[1])?, hex8(words[2])?, hex8(words[3])?, hex8(words[4])?);
    let (e, f) = (hex8(words[5] >> 8 | words[6] << 56)?, hex8(words[6] >> 8 | words[7] << 56)?);
    // Two flag digits, padded with zeros to eight.
    let flags = hex8((words[7] >> 16 & 0xffff) << 48 | 0x0000_3030_3030_3030)? >> 24;
    let parent = TraceParent {
        trace_id: [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32],
        span_id: e as u64 | (f as u64) << 32,
        flags: flags as u8,
    };
    (parent.trace_id[0] | parent.trace_id[1] != 0 && parent.span_id != 0).then_some(parent)
}

#[inline(always)]
fn byte(word: u64, index: u32) -> u64 {
    word >> (8 * index) & 0xff
}

/// `version` is its two digits. 00 is exactly 55 bytes long; later ones may go on after a dash; ff is invalid.
#[inline(always)]
fn version_allows(version: u64, longer: bool, next: u64) -> bool {
    let zero = (b'0' as u64) << 8 | b'0' as u64;
    let ff = (b'f' as u64) << 8 | b'f' as u64;
    if version == zero {
        return !longer;
    }
    let digits = 0x3030_3030_3030_0000 | (version & 0xff) << 8 | version >> 8;
    version != ff && (!longer || next == b'-' as u64) && hex8(digits).is_some()
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
    let (a, b) = (hex8(at!(load_u64, 3))?, hex8(at!(load_u64, 11))?);
    let (c, d) = (hex8(at!(load_u64, 19))?, hex8(at!(load_u64, 27))?);
    let (e, f) = (hex8(at!(load_u64, 36))?, hex8(at!(load_u64, 44))?);
    let flags = hex8((at!(load_u16, 53) as u64) << 48 | 0x0000_3030_3030_3030)? >> 24;
    let parent = TraceParent {
        trace_id: [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32],
        span_id: e as u64 | (f as u64) << 32,
        flags: flags as u8,
    };
    (parent.trace_id[0] | parent.trace_id[1] != 0 && parent.span_id != 0).then_some(parent)
}
