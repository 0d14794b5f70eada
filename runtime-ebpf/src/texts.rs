//! Strings of the target: where they lie, and copying them into slots of a record.

use runtime_ebpf::{abi::NO_OFFSET, record::ABSENT};

use crate::read::{
    GoString, forget, is_some, known, opaque, read, read_bytes, read_result, sign, try_read_bytes,
};

/// Marks a [`GoString`] that could not be had.
pub const MISSING: GoString = GoString { address: 0, len: u64::MAX };

impl GoString {
    #[inline(always)]
    pub fn is_missing(self) -> bool {
        self.len == MISSING.len
    }

    /// Whether a slot of `capacity` bytes holds all of it.
    #[inline(always)]
    pub fn fits(self, capacity: usize) -> bool {
        self.is_missing() || self.len <= capacity as u64
    }
}

/// The string header at `base + offset`; the empty string for a null base.
#[inline(always)]
pub fn string_in(base: u64, offset: u16) -> GoString {
    if base == 0 {
        return GoString { address: 0, len: 0 };
    }
    known(base, offset).and_then(read::<GoString>).unwrap_or(MISSING)
}

/// Copies up to `capacity` bytes of a string to where they have room; gives its whole length, or [`ABSENT`].
#[inline(always)]
pub fn fill(to: *mut u8, capacity: usize, text: GoString) -> u32 {
    if text.is_missing() {
        return ABSENT;
    }
    if text.len == 0 {
        return 0;
    }
    // LLVM would join the tests for zero and for the capacity into one that verifiers before 6.18 learn nothing from.
    let mut len = opaque(text.len);
    if len > capacity as u64 {
        len = capacity as u64;
    }
    if !read_bytes(to, len as u32, text.address) {
        return ABSENT;
    }
    cut_len(text.len)
}

/// The same for several in a row, with nothing for the verifier to follow but the capacity. A failure is the caller's to count: it is added
/// to `failed`, whose sign then says so.
#[inline(always)]
pub fn fill_next(to: *mut u8, capacity: usize, text: GoString, failed: &mut i64) -> u32 {
    // All ones for what is missing: its address may be anything, and some are refused even where nothing is read.
    let missing = is_all_ones(text.len);
    let there = GoString { address: text.address & !missing, len: text.len & !missing };
    let (full_len, result) = copy(to, capacity, there);
    *failed |= result;
    const _: () = assert!(ABSENT == u32::MAX);
    full_len as u32 & 0x7fff_ffff | missing as u32 | (result >> 63) as u32
}

/// Copies up to `capacity` bytes of a string; gives its length, of which the verifier knows nothing, and what the helper said: 0, or a
/// negative number.
#[inline(always)]
pub fn copy(to: *mut u8, capacity: usize, text: GoString) -> (u64, i64) {
    // SAFETY: the slot is longer, and written next.
    let (address, full_len) = unsafe { (forget(to.cast(), text.address), forget(to.cast(), text.len)) };
    let mut len = opaque(full_len);
    if len > capacity as u64 {
        len = capacity as u64;
    }
    (full_len, read_result(to, len as u32, address))
}

/// By how much slots of `capacity` bytes are too short for what is not missing, as a number that is 0 or not: without a branch.
#[inline(always)]
pub fn excess(text: GoString, capacity: usize) -> u64 {
    sign((capacity as u64).wrapping_sub(text.len & !is_all_ones(text.len)))
}

/// All ones for all ones, else 0: without a branch.
#[inline(always)]
fn is_all_ones(number: u64) -> u64 {
    is_some(!number).wrapping_sub(1)
}

/// A length as records have it, never [`ABSENT`].
#[inline(always)]
pub fn cut_len(len: u64) -> u32 {
    if len > 0x7fff_ffff { 0x7fff_ffff } else { len as u32 }
}

/// A piece of one of the target's structs, copied to where `SIZE` bytes (a power of two) have room. Offsets are those in the
/// struct.
pub struct Window<const SIZE: usize> {
    bytes: *mut u8,
    from: u16,
    ok: bool,
}

impl<const SIZE: usize> Window<SIZE> {
    /// Reads `len` bytes from offset `from` of the struct at `base`.
    #[inline(always)]
    pub fn read(to: *mut u8, base: u64, from: u16, len: u16) -> Self {
        // As in `fill`: the tests for zero and for the size would become one.
        let mut room = opaque(len as u64);
        if room > SIZE as u64 {
            room = SIZE as u64;
        }
        Self { bytes: to, from, ok: len != 0 && try_read_bytes(to, room as u32, base + from as u64) }
    }

    /// Whether it could be read.
    #[inline(always)]
    pub fn ok(&self) -> bool {
        self.ok
    }

    #[inline(always)]
    pub fn word(&self, offset: u16) -> Option<u64> {
        (self.ok && offset != NO_OFFSET).then(|| self.known_word(offset))
    }

    /// The string of a window that was read, at an offset that is known.
    #[inline(always)]
    pub fn known_string(&self, offset: u16) -> GoString {
        GoString { address: self.known_word(offset), len: self.known_word(offset.wrapping_add(8)) }
    }

    /// The word of a window that was read, at an offset that is known: no branch for the verifier to follow.
    #[inline(always)]
    pub fn known_word(&self, offset: u16) -> u64 {
        // A multiple of 8 below the window's size, as the verifier sees it.
        let at = (opaque(offset.wrapping_sub(self.from) as u64) & (SIZE as u64 - 8)) as usize;
        // SAFETY: the mask leaves offsets up to SIZE - 8.
        unsafe { self.bytes.add(at).cast::<u64>().read_volatile() }
    }

    #[inline(always)]
    pub fn string(&self, offset: u16) -> GoString {
        match (self.word(offset), self.word(offset.wrapping_add(8))) {
            (Some(address), Some(len)) if offset != NO_OFFSET => GoString { address, len },
            _ => MISSING,
        }
    }
}
