//! What an instruction does, as far as a site depends on it, in the same words for both architectures.
//!
//! [`amd64`](super::amd64) and [`arm64`](super::arm64) make steps from a function's bytes, in the order of its addresses; what is
//! decided from them ([`calls`](super::calls), [`slots`](super::slots)) is written once.

use std::collections::VecDeque;

use super::site::Cost;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Offset from the function's entry.
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
    /// How the floor kernel runs it under a probe; nothing where it refuses one.
    pub cost: Option<Cost>,
    /// Where execution goes on.
    pub flow: Flow,
    /// The general registers that it may write. What a call clobbers is not listed.
    pub writes: Registers,
    /// The registers that it compares, when that is what it does.
    pub compares: Registers,
    /// Of a branch that depends on whether a register is zero.
    pub nil: Option<Nil>,
    /// What it puts into registers, as far as that can be told. A pair of registers can be loaded at once.
    pub sets: [Option<(u8, Value)>; 2],
}

/// Where execution goes on behind an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// At the next instruction.
    Next,
    /// In the function at that offset from this function's entry, which wraps around; then at the next instruction.
    Call(u64),
    /// In the function whose address is in a register, or in a place that is not told; then at the next instruction.
    Indirect(Option<u8>),
    /// At that offset only.
    Jump(u64),
    /// Nobody knows where: a jump to an address in a register.
    Away,
    /// At that offset or at the next instruction.
    Branch(u64),
    /// At the caller.
    Return,
    /// Nowhere: a trap, padding.
    Stop,
    /// These bytes are no instruction, so that nothing behind them is sure to be what it seems.
    Undecoded,
}

/// What a branch depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nil {
    /// The register, all of it.
    pub register: u8,
    /// Whether it is when that is zero that the branch is taken; else when it is not.
    pub is_taken: bool,
}

/// What an instruction puts into a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The word at that distance from the stack pointer.
    StackWord(i64),
    /// The address at that distance from the stack pointer.
    StackAddress(i64),
    /// The word at that distance from the address in some other register.
    Word(i64),
    /// An address of the file.
    Address(u64),
    /// The word at that address of the file.
    Loaded(u64),
    /// What that register holds.
    Copy(u8),
}

/// A set of general registers, by the numbers that the architecture gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers(u32);

impl Registers {
    /// Those of these numbers; 32 and above are ignored.
    pub fn of(numbers: impl IntoIterator<Item = u8>) -> Self {
        Registers(numbers.into_iter().fold(0, |set, n| set | 1u32.checked_shl(u32::from(n)).unwrap_or(0)))
    }

    /// Whether the two have one in common.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether that one is among them.
    pub fn has(self, number: u8) -> bool {
        self.meets(Self::of([number]))
    }

    /// Those of both.
    pub fn with(self, other: Self) -> Self {
        Registers(self.0 | other.0)
    }

    /// Those of the first that are not in the second.
    pub fn without(self, other: Self) -> Self {
        Registers(self.0 & !other.0)
    }
}

/// What a register is for in Go's internal ABI on one architecture.
#[derive(Debug)]
pub struct Abi {
    /// Registers that carry results, in order.
    pub results: &'static [u8],
    /// The goroutine.
    pub goroutine: u8,
    /// The stack pointer.
    pub stack: u8,
    /// How many bytes a call pushes.
    pub pushed: i64,
    /// The assembler's own register, where it makes some instructions of several, by way of that one. A goroutine that is preempted between those
    /// goes back to the first of them (`isRestartable` in cmd/internal/obj/arm64/asm7.go, `PCDATA_UnsafePoint`), so that a probe at
    /// any but the last is hit again: and it is then that a signal is likely, which has waited for the probe.
    pub scratch: Option<u8>,
}

impl Abi {
    /// What has to stay as it was for so many results to be in place: their registers, and the goroutine's.
    pub fn kept(&self, results: u8) -> Registers {
        let results = self.results.iter().copied().take(usize::from(results));
        Registers::of(results).with(Registers::of([self.goroutine]))
    }
}

/// The last steps of a function, so that one can look back from a call, a jump or a return.
#[derive(Debug, Default)]
pub struct Past(VecDeque<Step>);

/// How far one can look back.
pub const MAX_PAST: usize = 48;

impl Past {
    /// Takes the next one.
    pub fn push(&mut self, step: Step) {
        if self.0.len() >= MAX_PAST {
            self.0.pop_front();
        }
        self.0.push_back(step);
    }

    /// The latest first.
    pub fn back(&self) -> impl Iterator<Item = &Step> {
        self.0.iter().rev()
    }
}
