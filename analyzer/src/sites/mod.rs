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
mod tables;

use crate::go::functions::{Function, Functions, Run};
use crate::image::Image;
use crate::plan::{Arch, Cost, Site, When};
use tables::IndirectJump;

/// Bodies larger than this are not decoded; the largest function seen has 400 KB.
const MAX_CODE_BYTES: u64 = 4 << 20;
/// Most returns of a function; each gets a probe.
const MAX_EXITS: usize = 4096;

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
    /// Reads a function's code and frame; nothing of one that is too large, for a part of it would hide jumps and returns.
    pub fn read(image: &'a Image<'a>, functions: &Functions<'a>, function: Function<'a>) -> Option<Self> {
        let size = Some(function.size).filter(|&size| size <= MAX_CODE_BYTES)?;
        let bytes = image.bytes(function.vaddr, size)?;
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

/// The cheapest sound entry. Nothing when a jump of the function leads back to it (a loop that begins with a function
/// without a frame, assembly that starts again after `morestack`): it would be reached more than once per call. The way back
/// from a stack check leads to the function's start, which is no site where there is a check.
pub fn entry(image: &Image<'_>, code: &Code<'_>) -> Option<Site> {
    let instruction = match image.arch {
        Arch::Amd64 => amd64::entry(code),
        Arch::Arm64 => arm64::entry(code),
    }?;
    // A jump whose target cannot be told leaves the function: one through a table is always told.
    let switched = tables::targets(image, code, &indirect_jumps(image.arch, code)).unwrap_or_default();
    let mut targets = jump_targets(image.arch, code).into_iter().chain(switched);
    if targets.any(|target| target == instruction.offset) {
        return None;
    }
    code.site(image, instruction, When::Entry)
}

/// Offsets that direct jumps of the function lead to.
fn jump_targets(arch: Arch, code: &Code<'_>) -> Vec<usize> {
    match arch {
        Arch::Amd64 => amd64::jump_targets(code),
        Arch::Arm64 => arm64::jump_targets(code),
    }
}

/// The function's jumps to addresses that the code does not say.
fn indirect_jumps(arch: Arch, code: &Code<'_>) -> Vec<IndirectJump> {
    match arch {
        Arch::Amd64 => amd64::indirect_jumps(code),
        Arch::Arm64 => arm64::indirect_jumps(code),
    }
}

/// Jumps by their base registers, with the addresses that each register is loaded with.
fn with_tables<R: PartialEq>(bases: Vec<R>, loads: &[(R, u64)]) -> Vec<IndirectJump> {
    let tables =
        |base: R| loads.iter().filter(|(register, _)| *register == base).map(|&(_, at)| at).collect();
    bases.into_iter().map(|base| IndirectJump { tables: tables(base) }).collect()
}

/// Every return; nothing when one may have been missed.
pub fn exits(image: &Image<'_>, code: &Code<'_>) -> Option<Vec<Site>> {
    let exits = match image.arch {
        Arch::Amd64 => amd64::exits(code),
        Arch::Arm64 => arm64::exits(code),
    };
    let exits = exits.filter(|exits| exits.len() <= MAX_EXITS)?;
    let sites: Option<Vec<Site>> = exits.into_iter().map(|i| code.site(image, i, When::Exit)).collect();
    sites.filter(|s| !s.is_empty())
}

/// Most instructions between a call and the site behind it: `serve` spills and compares 13 before its first branch.
const MAX_DISTANCE: usize = 32;

/// The first emulated instruction behind each call of one of the targets, its first `results` result registers untouched.
/// Nothing when there is no such call, when one is not followed by such an instruction, or when a jump leads in between, or
/// may: the site would then be reached without the call.
pub fn after_calls(image: &Image<'_>, code: &Code<'_>, targets: &[u64], results: u8) -> Option<Vec<Site>> {
    let targets: Vec<u64> = targets.iter().map(|t| t.wrapping_sub(code.vaddr)).collect();
    let found = match image.arch {
        Arch::Amd64 => amd64::after_calls(code, &targets, results),
        Arch::Arm64 => arm64::after_calls(code, &targets, results),
    }?;
    // They are in order and do not overlap.
    let jumped_into = |target: usize| {
        let next = found.partition_point(|f| f.site.offset < target);
        found.get(next).is_some_and(|f| f.returns_to <= target)
    };
    let switched = tables::targets(image, code, &indirect_jumps(image.arch, code))?;
    if jump_targets(image.arch, code).into_iter().chain(switched).any(jumped_into) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of these bytes at address 0x1000 behind its headers, and their code.
    fn entry_of(machine: u8, bytes: &[u8], frame_end: Option<usize>) -> Option<usize> {
        let mut file = vec![0u8; 120];
        file.extend(bytes);
        let size = file.len() as u64;
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[16], file[18], file[32], file[54], file[56], file[64]) = (2, machine, 64, 56, 1, 1);
        file[80..88].copy_from_slice(&0x1000u64.to_le_bytes());
        file[96..104].copy_from_slice(&size.to_le_bytes());
        let image = Image::parse(&file).expect("an image");
        let code = Code { vaddr: 0x1000 + 120, bytes, pcsp: Vec::new(), frame_end };
        let site = entry(&image, &code)?;
        usize::try_from(site.vaddr - code.vaddr).ok()
    }

    #[test]
    fn no_site_where_a_loop_begins() {
        // memoryLimitHeapGoal: inc %rax; cmp %rbx,%rax; jb to the start; ret
        let looped = [0x48, 0xff, 0xc0, 0x48, 0x39, 0xd8, 0x72, 0xf8, 0xc3];
        assert_eq!(entry_of(62, &looped, None), None);
        let mut onwards = looped;
        onwards[7] = 0xfb; // jb to the cmp
        assert_eq!(entry_of(62, &onwards, None), Some(0));
        let words = |words: [u32; 4]| words.map(u32::to_le_bytes).concat();
        // add x0,x0,#1; cmp x0,x1; b.lo to the start; ret
        assert_eq!(entry_of(183, &words([0x9100_0400, 0xeb01_001f, 0x54ff_ffc3, 0xd65f_03c0]), None), None);
        assert_eq!(
            entry_of(183, &words([0x9100_0400, 0xeb01_001f, 0x5400_0023, 0xd65f_03c0]), None),
            Some(0)
        );
    }

    #[test]
    fn the_way_back_from_the_stack_check_is_no_loop() {
        // cmp 0x10(%r14),%rsp; jbe; sub $16,%rsp; ret; call morestack; jmp to the start
        let old =
            [0x49, 0x3b, 0x66, 0x10, 0x76, 0x05, 0x48, 0x83, 0xec, 0x10, 0xc3, 0xe8, 0, 0, 0, 0, 0xeb, 0xee];
        assert_eq!(entry_of(62, &old, Some(10)), Some(4), "up to Go 1.20");
        // ldr x16,[x28,#16]; cmp sp,x16; b.ls; str x30,[sp,#-16]!; ret; b to the start
        let arm: Vec<u8> = [0xf940_0b90_u32, 0xeb30_63ff, 0x5400_0069, 0xf81f_0ffe, 0xd65f_03c0, 0x17ff_fffb]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        assert_eq!(entry_of(183, &arm, Some(16)), Some(8));
    }
}
