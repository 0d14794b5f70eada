//! Where in a function a probe can stand, and what it costs there.
//!
//! An **entry** site is reached once per call with the argument registers untouched. A probe on the first instruction is
//! reached twice when the stack check fails and the function starts again, so the site is behind the check, or is the
//! check's own conditional jump (which the agent's program ignores when it will be taken):
//!
//! | | site | cost |
//! |---|---|---|
//! | amd64 since 1.21 | `push %rbp` behind the check | emulated |
//! | amd64 up to 1.20 | the check's `jbe` | emulated |
//! | arm64 | the check's `b.ls` | emulated (simulated, as arm64 says) |
//! | no check | the first instruction | as it is |
//!
//! **Exits** are all returns. In framed functions `pcsp` tells where the stack pointer is back, so a disassembler is
//! needed only for the prologue, for frameless functions and for assembly.
//!
//! Costs are those of kernel 5.8: what x86's `branch_setup_xol_ops` and `push_setup_xol_ops` and arm64's
//! `arm_probe_decode_insn` run without a step.

pub mod amd64;
pub mod arm64;

use crate::go::functions::{Function, Functions, Run};
use crate::image::Image;
use crate::plan::{Arch, Cost, Site, When};

/// Bodies larger than this are not decoded; the largest function seen has 400 KB.
const MAX_CODE_BYTES: u64 = 4 << 20;

/// An instruction of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Offset from the function's entry.
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
    /// How the floor kernel runs it under a probe.
    pub cost: Cost,
}

/// What the sites are made from.
#[derive(Debug, Clone)]
pub struct Code<'a> {
    /// First instruction.
    pub vaddr: u64,
    /// Its bytes, padding included.
    pub bytes: &'a [u8],
    /// The stack pointer's distance by pc.
    pub pcsp: Vec<Run>,
    /// Behind the instruction that makes the frame; nothing in frameless functions.
    pub frame_end: Option<usize>,
}

impl<'a> Code<'a> {
    /// Reads a function's code and frame.
    pub fn read(image: &'a Image<'a>, functions: &Functions<'a>, function: Function<'a>) -> Option<Self> {
        let bytes = image.bytes(function.vaddr, function.size.min(MAX_CODE_BYTES))?;
        let pcsp = functions.pcsp(&function);
        let framed = !function.is_asm() && pcsp.iter().any(|r| r.value > 0);
        let first = pcsp.first().filter(|r| r.value == 0 && framed);
        let frame_end = first.and_then(|r| usize::try_from(r.end).ok());
        Some(Code { vaddr: function.vaddr, bytes, pcsp, frame_end })
    }

    /// The Plan's form of an instruction.
    pub fn site(&self, image: &Image<'_>, instruction: Instruction, when: When) -> Option<Site> {
        let vaddr = self.vaddr.checked_add(instruction.offset as u64)?;
        let end = instruction.offset.checked_add(instruction.len)?;
        let bytes = self.bytes.get(instruction.offset..end)?.iter().map(|b| format!("{b:02x}")).collect();
        Some(Site { vaddr, file_offset: image.file_offset(vaddr)?, bytes, when, cost: instruction.cost })
    }
}

/// The cheapest sound entry.
pub fn entry(image: &Image<'_>, code: &Code<'_>) -> Option<Site> {
    let instruction = match image.arch {
        Arch::Amd64 => amd64::entry(code),
        Arch::Arm64 => arm64::entry(code),
    };
    code.site(image, instruction?, When::Entry)
}

/// Every return; nothing when one may have been missed.
pub fn exits(image: &Image<'_>, code: &Code<'_>) -> Option<Vec<Site>> {
    let exits = match image.arch {
        Arch::Amd64 => amd64::exits(code),
        Arch::Arm64 => arm64::exits(code),
    };
    let sites: Option<Vec<Site>> = exits?.into_iter().map(|i| code.site(image, i, When::Exit)).collect();
    sites.filter(|s| !s.is_empty())
}

/// Most instructions between a call and the site behind it: `serve` spills and compares 13 before its first branch.
const MAX_DISTANCE: usize = 32;

/// The first emulated instruction behind each call of one of the targets, its first `results` result registers untouched.
/// Nothing when there is no such call, when one is not followed by such an instruction, or when a jump leads in between: the
/// site would then be reached without the call.
pub fn after_calls(image: &Image<'_>, code: &Code<'_>, targets: &[u64], results: u8) -> Option<Vec<Site>> {
    let targets: Vec<u64> = targets.iter().map(|t| t.wrapping_sub(code.vaddr)).collect();
    let found = match image.arch {
        Arch::Amd64 => amd64::after_calls(code, &targets, results),
        Arch::Arm64 => arm64::after_calls(code, &targets, results),
    }?;
    let jumped_into = |target: usize| found.iter().any(|f| (f.returns_to..=f.site.offset).contains(&target));
    let jumps = match image.arch {
        Arch::Amd64 => amd64::jump_targets(code),
        Arch::Arm64 => arm64::jump_targets(code),
    };
    if jumps.into_iter().any(jumped_into) {
        return None;
    }
    let sites: Option<Vec<Site>> =
        found.iter().map(|found| code.site(image, found.site, When::AfterCall)).collect();
    sites.filter(|s| !s.is_empty())
}

/// A site behind a call.
pub struct AfterCall {
    /// Where the call returns to, from the function's entry.
    pub returns_to: usize,
    /// The site.
    pub site: Instruction,
}
