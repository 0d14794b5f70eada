//! Checked little-endian reads. Everything returns `None` beyond the end; nothing panics and nothing allocates.

/// `N` bytes at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// One byte.
pub(crate) fn u8(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// Two bytes.
pub(crate) fn u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// Four bytes.
pub(crate) fn u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Four bytes, signed.
pub(crate) fn i32(bytes: &[u8], at: usize) -> Option<i32> {
    array(bytes, at).map(i32::from_le_bytes)
}

/// Eight bytes.
pub(crate) fn u64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// An unsigned LEB128 number of at most 10 bytes; `at` moves behind it.
pub(crate) fn uvarint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The bytes from `at` up to the NUL that ends them, which must come within `limit` bytes.
pub(crate) fn until_nul(bytes: &[u8], at: usize, limit: usize) -> Option<&[u8]> {
    let tail = bytes.get(at..)?;
    let window = tail.get(..limit.min(tail.len()))?;
    let end = window.iter().position(|&b| b == 0)?;
    window.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u64(&bytes, 0), Some(0x0807_0605_0403_0201));
        assert_eq!(u64(&bytes, 1), None);
        assert_eq!(u32(&bytes, usize::MAX), None);
        assert_eq!(u16(&bytes, 6), Some(0x0807));
    }

    #[test]
    fn varints_end_or_fail() {
        let mut at = 0;
        assert_eq!(uvarint(&[0xe5, 0x8e, 0x26], &mut at), Some(624_485));
        assert_eq!(at, 3);
        assert_eq!(uvarint(&[0x80; 16], &mut 0), None);
        assert_eq!(uvarint(&[0x80], &mut 0), None);
    }

    #[test]
    fn strings_need_their_nul_within_the_limit() {
        assert_eq!(until_nul(b"main.main\0x", 0, 100), Some(&b"main.main"[..]));
        assert_eq!(until_nul(b"main.main\0x", 0, 4), None);
        assert_eq!(until_nul(b"main", 0, 100), None);
    }
}
