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
}
