//! What an error is, for the record of an operation that has failed: see [`runtime_ebpf::errors`].

use runtime_ebpf::{
    abi::NO_OFFSET,
    counters::Counter,
    errors::{ERROR_INNER_TYPE, ERROR_SLOT_COUNT, ERROR_SLOTS, ERROR_TEXT, ERROR_TYPE, Errors, WRAPPERS},
    record::ABSENT,
};

use crate::{
    count::count,
    read::{GoString, known, read, try_read_bytes},
    texts::{MISSING, fill},
};

/// Errors that hold another, one within the other.
const MOST_WRAPPERS: u32 = 4;
const _: () = assert!(WRAPPERS == 4 && ERROR_SLOT_COUNT == 3);

/// A value of `error`, or what is within one.
#[derive(Clone, Copy)]
pub struct GoError {
    /// Address of the descriptor of its type; 0: unknown.
    pub kind: u64,
    /// The data word.
    pub data: u64,
}

impl GoError {
    /// Of the words of an `error`.
    #[inline(always)]
    pub fn new(itab: u64, data: u64) -> Self {
        // An itab's second word is its type (internal/abi/iface.go).
        Self { kind: read::<u64>(itab.wrapping_add(8)).unwrap_or(0), data }
    }

    /// The error behind those that hold another; `bias` is what the file's addresses are less than the process's.
    #[inline(always)]
    pub fn innermost(self, errors: &Errors, bias: u64) -> Self {
        let mut error = self;
        for _ in 0..MOST_WRAPPERS {
            let vaddr = error.kind.wrapping_sub(bias);
            let mut offset = NO_OFFSET;
            macro_rules! wrappers {
                ($($n:literal)+) => { $(
                    if errors.wrapper_vaddrs[$n] != 0 && errors.wrapper_vaddrs[$n] == vaddr {
                        offset = errors.wrapper_offsets[$n];
                    }
                )+ };
            }
            wrappers!(0 1 2 3);
            let held = known(error.data, offset).and_then(read::<GoString>);
            let Some(held) = held.filter(|held| held.address != 0) else { break };
            error = Self::new(held.address, held.len);
        }
        error
    }

    /// Writes the strings to `slots`, which has room for all, and their lengths to `lens`.
    #[inline(always)]
    pub fn write(self, errors: &Errors, bias: u64, slots: *mut u8, lens: *mut [u32; ERROR_SLOT_COUNT]) {
        let within = self.innermost(errors, bias);
        let inner = if within.kind == self.kind { 0 } else { within.kind };
        let is_text =
            errors.error_string_vaddr != 0 && within.kind == errors.error_string_vaddr.wrapping_add(bias);
        let text = if is_text { read::<GoString>(within.data).unwrap_or(MISSING) } else { MISSING };
        let mut slot = slots;
        // SAFETY: the caller's slots and lengths.
        unsafe {
            (&raw mut (*lens)[ERROR_TYPE]).write_volatile(fill_name(slot, errors, bias, self.kind));
            slot = slot.add(ERROR_SLOTS[ERROR_TYPE]);
            (&raw mut (*lens)[ERROR_INNER_TYPE]).write_volatile(fill_name(slot, errors, bias, inner));
            slot = slot.add(ERROR_SLOTS[ERROR_INNER_TYPE]);
            (&raw mut (*lens)[ERROR_TEXT]).write_volatile(fill(slot, ERROR_SLOTS[ERROR_TEXT], text));
        }
    }
}

/// Copies the name of a type as type data has it: the agent takes it apart. `abi.Type.Str` (internal/abi/type.go, offset 40 in
/// every release since 1.18) counts from where the type data begins.
#[inline(always)]
fn fill_name(to: *mut u8, errors: &Errors, bias: u64, kind: u64) -> u32 {
    const _: () = assert!(ERROR_SLOTS[ERROR_TYPE] == ERROR_SLOTS[ERROR_INNER_TYPE]);
    if kind == 0 || errors.types_vaddr == 0 {
        return ABSENT;
    }
    let Some(offset) = read::<u32>(kind.wrapping_add(40)) else { return ABSENT };
    let name = errors.types_vaddr.wrapping_add(bias).wrapping_add(offset as u64);
    // Names are short, and behind them lie others.
    if !try_read_bytes(to, ERROR_SLOTS[ERROR_TYPE] as u32, name) {
        count(Counter::ReadFault);
        return ABSENT;
    }
    ERROR_SLOTS[ERROR_TYPE] as u32
}
