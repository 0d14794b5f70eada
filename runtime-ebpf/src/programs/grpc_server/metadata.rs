//! What the chain of a stream's contexts says: the RPC's metadata, which is the value of type `metadata.MD` that is nearest (taps and stats
//! handlers may have put others above it), and, of what net/http serves, whose request it is.

use core::mem::MaybeUninit;

use runtime_ebpf::{
    grpc::server::{CONTEXT_ITABS, File},
    trace_parent::TraceParent,
};

use crate::{
    current,
    enter::Hit,
    parent::{self, Context},
    read::try_read_bytes,
};

/// Contexts that are looked at.
const MOST_CONTEXTS: u32 = 12;
const _: () = assert!(CONTEXT_ITABS == 3);

/// Goes through the chain; gives the metadata's map, 0 if there is none. `is_within`: what serves the RPC is a handler of net/http; `request`
/// takes the span of that one's request. (A span in a register would have the verifier follow what comes behind once for each way to it.)
#[inline(always)]
pub fn find(
    hit: &Hit,
    file: &File,
    bias: u64,
    first: Context,
    is_within: bool,
    request: impl Fn(&TraceParent),
) -> u64 {
    let mut context = first;
    let mut map = 0;
    for _ in 0..MOST_CONTEXTS {
        let itab = context.itab.wrapping_sub(bias);
        let [value, second, third] = file.context_itab_vaddrs;
        let is_value = itab == value;
        if context.data == 0 || !(is_value || itab == second || itab == third) {
            break;
        }
        if is_within && let Some(open) = current::of_context(hit, context.data) {
            if let Some(open) = open {
                request(&open.trace);
            }
            return map;
        }
        // `valueCtx` is { Context; key, val any }; the others begin with a Context, too, and what lies behind it is theirs.
        let mut words = MaybeUninit::<[u64; 6]>::uninit();
        let word = words.as_mut_ptr().cast::<u64>();
        if !try_read_bytes(word.cast(), if is_value { 48 } else { 16 }, context.data) {
            break;
        }
        // SAFETY: what is read here was, in both cases. One by one: LLVM makes a loop over bytes of an array.
        unsafe {
            let is_it =
                is_value && map == 0 && word.add(4).read_volatile() == file.metadata_vaddr.wrapping_add(bias);
            if is_it && file.metadata_vaddr != 0 {
                // A map is a pointer: the data word itself.
                map = word.add(5).read_volatile();
                if !is_within {
                    return map;
                }
            }
            context = Context { itab: word.read_volatile(), data: word.add(1).read_volatile() };
        }
    }
    if is_within {
        // A context of somebody's own has ended the chain: the handler has made this goroutine.
        if let Some(open) = parent::creators(hit) {
            request(&open.trace);
        }
    }
    map
}
