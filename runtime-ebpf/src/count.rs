//! Counting, per CPU: no loss is silent.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use runtime_ebpf::{
    counters::{Counter, PER_LIBRARY},
    libraries,
};

use crate::whole_key::WholeKey as _;

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(PER_LIBRARY * libraries::CODES, 0);

/// Adds one to a counter of the core.
#[inline(always)]
pub fn count(counter: Counter) {
    add_one(counter as u32);
}

/// Adds one to counter `number` of a library.
#[inline(always)]
pub fn count_of(library: u16, number: u32) {
    add_one(library as u32 * PER_LIBRARY + number);
}

/// Adds one and gives the new value. A hit that preempts another on this CPU between load and store may be lost from the
/// count (never from the data): counters tell of the order of a problem, records carry the truth.
#[inline(always)]
pub fn add_one(index: u32) -> u64 {
    let Some(value) = COUNTERS.at(index) else { return 0 };
    // SAFETY: the verifier has seen the null check; the value is this CPU's.
    unsafe {
        *value.as_ptr() += 1;
        *value.as_ptr()
    }
}
