//! Counting, per CPU: no loss is silent.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use runtime_ebpf::counters::{ALL, Counter};

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(ALL.len() as u32, 0);

/// Adds one. A hit that preempts another on this CPU between load and store may be lost from the count (never from the
/// data): counters tell of the order of a problem, records carry the truth.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the verifier has seen the null check; the value is this CPU's.
        unsafe { *value += 1 };
    }
}
