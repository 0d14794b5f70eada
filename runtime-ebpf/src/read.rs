//! Reads of the target's memory. Every failure is counted, once, where it happens.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use runtime_ebpf::{abi::NO_OFFSET, counters::Counter};

use crate::count::count;

/// A Go string (or the first two words of a slice): address and length.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct GoString {
    pub address: u64,
    pub len: u64,
}

/// Reads `len` bytes at `address` into `to`, which must have room for them as the verifier sees it.
#[inline(always)]
pub fn read_bytes(to: *mut u8, len: u32, address: u64) -> bool {
    let ok = try_read_bytes(to, len, address);
    if !ok {
        count(Counter::ReadFault);
    }
    ok
}

/// The same where a failure loses nothing, since the caller has another way.
#[inline(always)]
pub fn try_read_bytes(to: *mut u8, len: u32, address: u64) -> bool {
    read_result(to, len, address) == 0
}

/// The helper's own result: 0, or a negative error number with zeros in `to`.
#[inline(always)]
pub fn read_result(to: *mut u8, len: u32, address: u64) -> i64 {
    // SAFETY: the verifier checks `to` and `len`; a bad `address` is an error, not a fault.
    unsafe { bpf_probe_read_user(to.cast::<c_void>(), len, address as *const c_void) }
}

/// Reads a plain value.
#[inline(always)]
pub fn read<T: Copy>(address: u64) -> Option<T> {
    read_by(address, read_bytes)
}

/// A word; 0 where it cannot be read, which loses nothing. Without a branch: the verifier would follow both ways to the program's end.
#[inline(always)]
pub fn read_or_zero(address: u64) -> u64 {
    let mut value = MaybeUninit::<u64>::uninit();
    try_read_bytes(value.as_mut_ptr().cast(), 8, address);
    // SAFETY: the helper has filled all of it, with zeros where it failed.
    unsafe { value.assume_init() }
}

/// The word at an offset; 0 where the offset is not known, or it cannot be read: without a branch, as above.
#[inline(always)]
pub fn word_or_zero(base: u64, offset: u16, beyond: u64) -> u64 {
    let is_known = is_known(offset);
    read_or_zero(opaque(base.wrapping_add(offset as u64).wrapping_add(beyond) & is_known.wrapping_neg()))
}

/// 1 if the offset is known, else 0: without a branch.
#[inline(always)]
pub fn is_known(offset: u16) -> u64 {
    is_some(offset as u64 ^ NO_OFFSET as u64)
}

/// 1 for any number but 0: without a branch.
#[inline(always)]
pub fn is_some(number: u64) -> u64 {
    sign(number | number.wrapping_neg())
}

/// The uppermost bit, as a number of which LLVM does not know that it is 0 or 1: it would make branches of what is calculated with it.
#[inline(always)]
pub fn sign(number: u64) -> u64 {
    opaque(opaque(number) >> 63)
}

/// The same where a failure loses nothing.
#[inline(always)]
pub fn try_read<T: Copy>(address: u64) -> Option<T> {
    read_by(address, try_read_bytes)
}

#[inline(always)]
fn read_by<T: Copy>(address: u64, bytes: impl Fn(*mut u8, u32, u64) -> bool) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    let ok = bytes(value.as_mut_ptr().cast(), size_of::<T>() as u32, address);
    // SAFETY: the helper has filled all of it (with zeros where it failed), and T is plain integers.
    ok.then(|| unsafe { value.assume_init() })
}

/// `base + offset`, unless the offset is not known.
#[inline(always)]
pub fn known(base: u64, offset: u16) -> Option<u64> {
    (offset != NO_OFFSET).then_some(base + offset as u64)
}

/// Writes a value where LLVM may not join the store with its neighbours into a call of `memset`: a program that goes on in
/// another one must have no functions of its own (arm64 before Linux 6.0 refuses both in one).
#[inline(always)]
pub fn put<T: Copy>(place: &mut T, value: T) {
    // SAFETY: a reference is valid to write to.
    unsafe { core::ptr::from_mut(place).write_volatile(value) }
}

/// The same number, of which LLVM no longer knows anything: it would otherwise rewrite a bound into a form that the verifier
/// does not follow.
#[inline(always)]
pub fn opaque(mut number: u64) -> u64 {
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("/* {0} */", inout(reg) number, options(nomem, nostack, preserves_flags)) };
    number
}

/// A load at any alignment, which the kernel allows in a record and a map's value on both architectures; LLVM, which knows
/// nothing of that, would load byte by byte.
macro_rules! load {
    ($name:ident, $type:ty, $asm:literal) => {
        /// # Safety
        ///
        /// The bytes lie in a record or a map's value, and not on the stack; the verifier sees to it.
        #[inline(always)]
        pub unsafe fn $name(from: *const u8) -> $type {
            let value: u64;
            // SAFETY: one load, of bytes that the caller has.
            unsafe { core::arch::asm!($asm, out(reg) value, in(reg) from, options(nostack, readonly)) };
            value as $type
        }
    };
}

load!(load_u64, u64, "{0} = *(u64 *)({1} + 0)");
load!(load_u32, u32, "{0} = *(u32 *)({1} + 0)");
load!(load_u16, u16, "{0} = *(u16 *)({1} + 0)");
load!(load_u8, u8, "{0} = *(u8 *)({1} + 0)");

/// The same number, of which the verifier no longer knows anything, since it went through the memory of a record: states that
/// differ in it alone are followed once.
///
/// # Safety
///
/// `word` is eight bytes of a record that nobody needs yet.
#[inline(always)]
pub unsafe fn forget(word: *mut u64, number: u64) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        word.write_volatile(number);
        word.read_volatile()
    }
}
