//! Look-ups by keys of four bytes, for the verifier's sake.

use core::{ffi::c_void, mem::MaybeUninit, ptr::NonNull};

use aya_ebpf::{
    helpers::generated::bpf_map_lookup_elem,
    maps::{Array, HashMap, PerCpuArray},
};

/// A map with keys of four bytes.
///
/// Its look-up writes the key as the lower half of a word. The verifier takes a word of the stack of which only four bytes were
/// written for one that is in use ever after, and follows everything behind once for each number that may stand there:
/// programs had up to four times as much to verify.
pub trait WholeKey<T> {
    /// The value's place.
    fn at(&self, key: u32) -> Option<NonNull<T>>;

    /// The value: nobody writes to it while programs run.
    #[inline(always)]
    fn get_at(&self, key: u32) -> Option<&T> {
        // SAFETY: values are as long as the map, and of this type.
        self.at(key).map(|value| unsafe { value.as_ref() })
    }
}

macro_rules! whole_key {
    ($($map:ty)+) => { $(
        impl<T> WholeKey<T> for $map {
            #[inline(always)]
            fn at(&self, key: u32) -> Option<NonNull<T>> {
                // SAFETY: aya's maps are what the kernel's side takes for one (`repr(transparent)`), and this one has such keys.
                unsafe { at(core::ptr::from_ref(self).cast(), key) }
            }
        }
    )+ };
}
whole_key! { Array<T> PerCpuArray<T> HashMap<u32, T> }

/// # Safety
///
/// `map` is a map with keys of four bytes and values of type `T`.
#[inline(always)]
unsafe fn at<T>(map: *const c_void, key: u32) -> Option<NonNull<T>> {
    let mut word = MaybeUninit::<u64>::uninit();
    // SAFETY: the caller's. Both architectures have the lower half in front.
    unsafe {
        word.as_mut_ptr().write_volatile(key as u64);
        NonNull::new(bpf_map_lookup_elem(map.cast_mut(), word.as_ptr().cast()).cast())
    }
}
