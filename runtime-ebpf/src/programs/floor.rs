//! What the kernel alone costs: the bench attaches these to the same sites as the real ones (docs/performance.md). The agent attaches
//! `floor` for a moment to its own file, when it is asked what this machine allows (`strobe features`).

use core::mem::MaybeUninit;

use aya_ebpf::{macros::uprobe, programs::ProbeContext};

use crate::{read::try_read_bytes, registers::GoRegisters};

/// Returns at once: the trap.
#[uprobe]
pub fn floor(_ctx: ProbeContext) -> u32 {
    0
}

/// Sixteen reads of 8 bytes of the goroutine's `g`, the cheapest that the real programs make.
#[uprobe]
pub fn floor_reads(ctx: ProbeContext) -> u32 {
    let mut word = MaybeUninit::<u64>::uninit();
    macro_rules! reads {
        ($($n:literal)+) => { $( if !try_read_bytes(word.as_mut_ptr().cast(), 8, ctx.goroutine() + 8 * $n) { return 0; } )+ };
    }
    reads!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    0
}
