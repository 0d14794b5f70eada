//! A program that returns at once: what the trap alone costs. The bench attaches it to the same sites as the real ones
//! (docs/performance.md); the agent never does.

use aya_ebpf::{macros::uprobe, programs::ProbeContext};

#[uprobe]
pub fn floor(_ctx: ProbeContext) -> u32 {
    0
}
