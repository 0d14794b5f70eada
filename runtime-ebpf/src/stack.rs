//! Who calls whom on a goroutine's stack, by the frame pointers that Go keeps on amd64 and arm64.

use crate::read::{GoString, try_read};

/// Whether one of the `MOST` functions above is one that returns there: the call that was found open is still being made then, and what begins
/// now is part of it. `frame` is the record of the caller's frame ([`crate::registers::GoRegisters::frame`]).
#[inline(always)]
pub fn is_called_within<const MOST: u32>(frame: u64, back_to: u64) -> bool {
    is_called_below::<MOST>(frame, back_to, u64::MAX)
}

/// The same of a function whose frame ends at `top`: where functions call themselves, one that returns to the same place may lie above it.
#[inline(always)]
pub fn is_called_below<const MOST: u32>(mut frame: u64, back_to: u64, top: u64) -> bool {
    for _ in 0..MOST {
        if frame > top {
            break;
        }
        // Where the frame before begins, and where this one's function returns to.
        let Some(record) = try_read::<GoString>(frame) else { break };
        if record.len == back_to {
            return back_to != 0;
        }
        frame = record.address;
    }
    false
}
