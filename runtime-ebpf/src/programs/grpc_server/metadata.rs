//! An RPC's metadata, out of its stream's context: the value of type `metadata.MD` that is nearest. Taps and stats handlers may have put
//! others above it.

use core::mem::MaybeUninit;

use runtime_ebpf::grpc::server::CONTEXT_ITABS;

use super::GRPC_SERVER_FILES;
use crate::{parent::Context, read::try_read_bytes, whole_key::WholeKey as _};

/// Contexts that are looked at.
const MOST_CONTEXTS: u32 = 8;
const _: () = assert!(CONTEXT_ITABS == 3);

/// The map; 0: there is none. A function of its own: the verifiers of 5.10 and 6.1 would follow each of the ways out of the loop to the
/// program's end, three times as many instructions.
#[inline(never)]
pub fn find(file: u32, bias: u64, itab: u64, data: u64) -> u64 {
    let Some(file) = GRPC_SERVER_FILES.get_at(file) else { return 0 };
    let mut context = Context { itab, data };
    if file.metadata_vaddr == 0 {
        return 0;
    }
    for _ in 0..MOST_CONTEXTS {
        let itab = context.itab.wrapping_sub(bias);
        let [value, second, third] = file.context_itab_vaddrs;
        let is_value = itab == value;
        if context.data == 0 || !(is_value || itab == second || itab == third) {
            return 0;
        }
        // `valueCtx` is { Context; key, val any }; the others begin with a Context, too, and what lies behind it is theirs.
        let mut words = MaybeUninit::<[u64; 6]>::uninit();
        let word = words.as_mut_ptr().cast::<u64>();
        if !try_read_bytes(word.cast(), if is_value { 48 } else { 16 }, context.data) {
            return 0;
        }
        // SAFETY: what is read here was, in both cases. One by one: LLVM makes a loop over bytes of an array.
        unsafe {
            if is_value && word.add(4).read_volatile() == file.metadata_vaddr.wrapping_add(bias) {
                // A map is a pointer: the data word itself.
                return word.add(5).read_volatile();
            }
            context = Context { itab: word.read_volatile(), data: word.add(1).read_volatile() };
        }
    }
    0
}
