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
pub mod calls;
mod code;
#[cfg(test)]
mod forged;
mod site;
pub mod slots;
mod step;
mod tables;
pub mod used;
pub mod variables;

pub use code::{Code, Instruction};

use crate::arch::Arch;
use crate::image::Image;
pub use site::{Cost, Site, When};
use step::{Abi, Flow, Step};
use tables::IndirectJump;

/// Most returns of a function; each gets a probe.
const MAX_EXITS: usize = 4096;

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

/// What the instructions of a function do, in the order of their addresses.
fn steps<'a>(arch: Arch, code: &Code<'a>) -> Box<dyn Iterator<Item = Step> + 'a> {
    match arch {
        Arch::Amd64 => Box::new(amd64::steps(code)),
        Arch::Arm64 => Box::new(arm64::steps(code)),
    }
}

/// The direct calls of a function: where each stands, where it returns to, and what it calls, as offsets from the function's entry. Where
/// nothing can be decoded stands none.
pub(crate) fn calls_of(arch: Arch, code: &Code<'_>) -> Vec<(usize, usize, Option<u64>)> {
    let call = |step: Step| match step.flow {
        Flow::Call(to) => Some((step.offset, step.offset + step.len, Some(to))),
        Flow::Undecoded => Some((step.offset, step.offset, None)),
        _ => None,
    };
    steps(arch, code).filter_map(call).collect()
}

fn abi(arch: Arch) -> &'static Abi {
    match arch {
        Arch::Amd64 => &amd64::ABI,
        Arch::Arm64 => &arm64::ABI,
    }
}

/// The machine's number of the register that carries the argument word of that place.
pub(crate) fn register(arch: Arch, place: usize) -> Option<u8> {
    abi(arch).results.get(place).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(machine: u8, bytes: &[u8], frame_end: Option<usize>) -> Option<usize> {
        let file = forged::file(machine, bytes);
        let image = Image::parse(&file).expect("an image");
        let code = Code { vaddr: forged::VADDR, bytes, pcsp: Vec::new(), frame_end };
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
    fn no_site_where_a_preempted_goroutine_comes_back_to() {
        let words = |words: [u32; 3]| words.map(u32::to_le_bytes).concat();
        // adrp x27,…; ldr x0,[x27]; ret: what Go's assembler makes of one load
        assert_eq!(entry_of(183, &words([0x9000_001b, 0xf940_0360, 0xd65f_03c0]), None), None);
        // adrp x16,…
        assert_eq!(entry_of(183, &words([0x9000_0010, 0xf940_0200, 0xd65f_03c0]), None), Some(0));
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
