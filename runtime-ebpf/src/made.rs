//! Spans that programs make by hand, by whichever copy of OpenTelemetry's Auto SDK for Go: what the programs need to know of a file, send
//! ([`records`]) and count ([`counters`]).

pub mod counters;
pub mod records;

use crate::abi::SPAN_BYTES;

/// What the programs need to know of one file. Value of a library's `_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Address in the file of the site where a span begins: `ip - vaddr` is the load bias.
    pub start_vaddr: u64,
    /// Which flags mean that the stack check there fails; see [`crate::abi::CHECK_NONE`].
    pub start_check: u8,
    /// The same where one ends.
    pub end_check: u8,
    /// Zero.
    pub rest: [u8; 6],
}

/// Which of the argument words of `start(t, ctx, span, psc, sampled, sc)` is `sc`, the pointer that ids are written by. The agent compares it
/// with the Plan.
pub const CONTEXT_WORD: usize = 6;

/// Size of the programs' in-flight entry, pinned here for the agent, which removes those of processes that have ended.
pub const IN_FLIGHT_BYTES: usize = SPAN_BYTES + 16;

// What an entry's `state` has.

/// A span is open.
pub const OPEN: u32 = 1;
/// It is recorded.
pub const SAMPLED: u32 = 2;
/// It begins, and the program has nothing of it yet: the entry is its goroutine's.
pub const BEGINS: u32 = 4;

/// What an entry's `own` says where the agent was told that the span begins: it counts those itself that never end.
pub const TOLD: u32 = 1;

/// Open spans at once, over all processes, unless the agent says otherwise.
pub const DEFAULT_ENTRIES: u32 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_no_padding() {
        assert_eq!((size_of::<File>(), align_of::<File>()), (16, 8));
    }
}
