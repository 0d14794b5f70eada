//! A wheel: what its programs need to know of a file, what they send and what they count.

use crate::record::Head;

/// What the programs need to know of one file. Value of `TOY_WHEEL_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// What the start site's bytes say of the stack check: one of the `CHECK_` constants.
    pub start_check: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

/// What is kept between start and end. Value of `TOY_WHEEL_FLIGHT`; keys are goroutine and tgid.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// The process's, when it was written.
    pub generation: u32,
    /// Zero.
    pub reserved: u32,
    /// The goroutine's id.
    pub goid: u64,
    /// CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// Turns asked for.
    pub turns: u64,
}

/// A turn has ended.
pub const KIND_TURN: u16 = 1;

/// Its record.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Complete.
    pub head: Head,
    /// Turns asked for.
    pub turns: u64,
}

/// What the programs count.
pub mod counters {
    crate::counters! { Counter:
        /// Turns without an entry, or with somebody else's.
        Unknown = "toy_wheel.lost.unknown", loss;
        /// Turns for which there was no room.
        NoRoom = "toy_wheel.lost.no_room", loss;
    }
}
