//! Reads of the kernel's own memory. What cannot be read is 0, as if it were a null pointer.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

macro_rules! number {
    ($name:ident, $type:ty, $doc:literal) => {
        #[doc = $doc]
        #[inline(always)]
        pub fn $name(address: u64) -> $type {
            let mut value = MaybeUninit::<$type>::uninit();
            let bytes = size_of::<$type>() as u32;
            // SAFETY: the destination is ours and of that size; the source may be anything. Kernel 5.5.
            let failed =
                unsafe { bpf_probe_read_kernel(value.as_mut_ptr().cast(), bytes, address as *const c_void) };
            // SAFETY: the helper has written all of it: on failure zeros.
            if failed != 0 { 0 } else { unsafe { value.assume_init() } }
        }
    };
}

number!(word, u64, "A word.");
number!(half, u32, "Four bytes.");
number!(quarter, u16, "Two bytes.");

/// Copies a part of a map's value into a record, in one call: LLVM would make a loop of it.
///
/// # Safety
///
/// `to` has room for `len` bytes, as the verifier sees it too.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, len: u32, from: *const u8) {
    // What cannot be read is zeros; a map's value can be.
    // SAFETY: the caller's; the source may be anything.
    let _ = unsafe { bpf_probe_read_kernel(to.cast::<c_void>(), len, from.cast::<c_void>()) };
}
