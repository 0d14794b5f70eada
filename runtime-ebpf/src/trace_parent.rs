//! A `traceparent` (W3C Trace Context level 2, semconv.md §4.1) as the programs understand it.

/// A valid `traceparent`. Words hold the bytes of the ids in memory order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// Trace id.
    pub trace_id: [u64; 2],
    /// The parent's span id.
    pub span_id: u64,
    /// Trace flags.
    pub flags: u8,
}

/// Eight lowercase hex digits, first one in the lowest byte, as the four bytes they spell, first one lowest; `None` if any
/// is not a lowercase hex digit.
///
/// All eight at once: nibble = low four bits, plus 9 for letters; the digits are then spelled again and compared, which
/// catches everything but `g` to `o`, whose nibbles exceed 15.
#[inline(always)]
pub fn hex8(digits: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let letters = (digits >> 6) & ONES;
    let nibbles = (digits & (ONES * 0x0f)).wrapping_add(letters * 9);
    let above_9 = (nibbles.wrapping_add(ONES * 0x76) >> 7) & ONES;
    let spelled = nibbles.wrapping_add(ONES * 0x30).wrapping_add(above_9 * 0x27);
    if spelled != digits || nibbles & (ONES * 0xf0) != 0 {
        return None;
    }
    let pairs = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | (pairs >> 8)) & 0x0000_ffff_0000_ffff;
    Some((quads | (quads >> 16)) as u32)
}

/// Bytes of a version 00 header.
pub const V00_BYTES: u64 = 55;
/// Where its text begins in what [`of_words`] is given.
pub const TEXT_AT: usize = 5;

/// Parses a header of so many bytes, of which the first 56 stand in `words` from [`TEXT_AT`] on (or all, of a shorter one).
///
/// The stack wants aligned loads and the header's fields are not aligned to each other: it stands where the trace id's digits start on a
/// multiple of 8, and the span id's are shifted into place.
///
/// ```text
///      00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
/// at 5 ^  ^ 8                              ^ 41             ^ 58
/// ```
#[inline(always)]
pub fn of_words(words: &[u64; 8], len: u64) -> Option<TraceParent> {
    if len < V00_BYTES {
        return None;
    }
    let lead = words[0] >> 40; // bytes 5, 6, 7: version and dash
    let version = byte(lead, 0) << 8 | byte(lead, 1);
    let dash = b'-' as u64;
    if byte(lead, 2) != dash || byte(words[5], 0) != dash || byte(words[7], 1) != dash {
        return None;
    }
    if !version_allows(version, len > V00_BYTES, byte(words[7], 4)) {
        return None;
    }
    let span = [words[5] >> 8 | words[6] << 56, words[6] >> 8 | words[7] << 56];
    of_digits([words[1], words[2], words[3], words[4]], span, words[7] >> 16 & 0xffff)
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

/// What these digits spell; `flags` are two. `None`: not all are digits, or an id is zero.
#[inline(always)]
pub fn of_digits(trace: [u64; 4], span: [u64; 2], flags: u64) -> Option<TraceParent> {
    let (a, b, c, d) = (hex8(trace[0])?, hex8(trace[1])?, hex8(trace[2])?, hex8(trace[3])?);
    let (e, f) = (hex8(span[0])?, hex8(span[1])?);
    // Padded with zeros to eight.
    let flags = hex8(flags << 48 | 0x0000_3030_3030_3030)? >> 24;
    let parent = TraceParent {
        trace_id: [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32],
        span_id: e as u64 | (f as u64) << 32,
        flags: flags as u8,
    };
    (parent.trace_id[0] | parent.trace_id[1] != 0 && parent.span_id != 0).then_some(parent)
}

/// Eight lowercase hex digits that spell these four bytes: what [`hex8`] reads.
#[inline(always)]
pub fn digits8(bytes: u32) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let quads = bytes as u64;
    let pairs = (quads | quads << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = bytes >> 4 & 0x000f_000f_000f_000f | (bytes & 0x000f_000f_000f_000f) << 8;
    let above_9 = (nibbles + ONES * 0x76) >> 7 & ONES;
    nibbles + ONES * 0x30 + above_9 * 0x27
}

/// Bytes of what [`line`] gives.
pub const LINE_BYTES: u64 = 70;
/// Words that they take.
pub const LINE_WORDS: usize = 9;

/// The header with its end of line, as it stands in a request over HTTP/1.x: `Traceparent: 00-…\r\n`, and two bytes of zeros.
#[inline(always)]
pub fn line(parent: &TraceParent) -> [u64; LINE_WORDS] {
    let [first, second] = parent.trace_id;
    let (a, b) = (digits8(parent.span_id as u32), digits8((parent.span_id >> 32) as u32));
    let flags = digits8(parent.flags as u32) & 0xffff;
    let dash = b'-' as u64;
    [
        u64::from_le_bytes(*b"Tracepar"),
        u64::from_le_bytes(*b"ent: 00-"),
        digits8(first as u32),
        digits8((first >> 32) as u32),
        digits8(second as u32),
        digits8((second >> 32) as u32),
        dash | a << 8,
        a >> 56 | b << 8,
        b >> 56 | dash << 8 | flags << 16 | (b'\r' as u64) << 32 | (b'\n' as u64) << 40,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_accepts_exactly_the_lowercase_digits() {
        for byte in 0..=255u8 {
            let text = [b'0', b'f', byte, b'9', b'a', b'0', b'1', b'2'];
            let expected = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert_eq!(hex8(u64::from_le_bytes(text)).is_some(), expected, "{byte:#x}");
        }
        assert_eq!(
            hex8(u64::from_le_bytes(*b"0af76519")),
            Some(u32::from_le_bytes([0x0a, 0xf7, 0x65, 0x19]))
        );
    }

    #[test]
    fn a_header_is_spelled_as_it_is_read() {
        let parent = TraceParent {
            trace_id: [u64::from_be(0x0af7_6519_16cd_43dd), u64::from_be(0x8448_eb21_1c80_319c)],
            span_id: u64::from_be(0xb7ad_6b71_6920_3331),
            flags: 0x03,
        };
        let words = line(&parent).map(u64::to_le_bytes);
        let text = words.as_flattened();
        let whole = b"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03\r\n\0\0";
        assert_eq!(text, whole);
        assert_eq!(LINE_BYTES as usize + 2, text.len());
        for bytes in [0, 1, 0x0f10_9aa9, 0xffff_ffff, 0xdead_beef] {
            assert_eq!(hex8(digits8(bytes)), Some(bytes));
        }
    }
}
