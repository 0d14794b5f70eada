//! Sites in x86-64 code.
//!
//! A prologue, with the stack check in brackets:
//! ```text
//!  [lea -X(%rsp),%r12]  [cmp 0x10(%r14),%rsp]  [jbe morestack]   push %rbp   mov %rsp,%rbp   sub $N,%rsp      since 1.21
//!  [lea -X(%rsp),%r12]  [cmp 0x10(%r14),%r12]  [jbe morestack]   sub $N,%rsp   mov %rbp,N-8(%rsp)  lea …      up to 1.20
//! ```

use iced_x86::{
    Code as Opcode, Decoder, DecoderOptions, FlowControl, Instruction as X86, InstructionInfoFactory,
    Mnemonic, OpAccess, OpKind, Register,
};

use super::{AfterCall, Code, IndirectJump, Instruction, MAX_DISTANCE};
use crate::go::functions::Run;
use crate::plan::Cost;

/// A prologue has at most this many instructions before its frame (the check of a huge frame has 8).
const MAX_PROLOGUE: usize = 12;
/// Registers that carry arguments and results in Go's internal ABI, in order, and the closure context.
const ARGUMENTS: [Register; 10] = [
    Register::RAX,
    Register::RBX,
    Register::RCX,
    Register::RDI,
    Register::RSI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::RDX,
];

/// What kernel 5.8 does with an instruction; nothing where it refuses a probe.
fn cost(bytes: &[u8], x86: &X86) -> Option<Cost> {
    // branch_setup_xol_ops refuses branches with an operand-size prefix (-ENOTSUPP).
    let narrowed = bytes.first() == Some(&0x66);
    match x86.mnemonic() {
        Mnemonic::INVALID => None,
        Mnemonic::Jmp | Mnemonic::Call if x86.op0_kind() != OpKind::NearBranch64 => Some(Cost::Stepped),
        Mnemonic::Jmp | Mnemonic::Call => (!narrowed).then_some(Cost::Emulated),
        Mnemonic::Nop if bytes.contains(&0x90) && x86.len() <= 2 => {
            if narrowed {
                None
            } else {
                Some(Cost::Emulated)
            }
        }
        Mnemonic::Push if x86.op0_kind() == OpKind::Register && !narrowed => Some(Cost::Emulated),
        _ if x86.is_jcc_short_or_near() => (!narrowed).then_some(Cost::Emulated),
        _ => Some(Cost::Stepped),
    }
}

fn decode<'a>(code: &Code<'a>) -> impl Iterator<Item = (X86, Option<Cost>)> + 'a {
    let bytes = code.bytes;
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    std::iter::from_fn(move || {
        let start = decoder.position();
        let x86 = decoder.can_decode().then(|| decoder.decode())?;
        let raw = bytes.get(start..decoder.position()).unwrap_or_default();
        Some((x86, cost(raw, &x86)))
    })
}

fn instruction(x86: &X86, cost: Cost) -> Option<Instruction> {
    Some(Instruction { offset: usize::try_from(x86.ip()).ok()?, len: x86.len(), cost })
}

/// Whether an argument may no longer be where it was.
fn keeps_arguments(x86: &X86) -> bool {
    let target = x86.op0_register().full_register();
    let writes = !matches!(x86.mnemonic(), Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push);
    !(writes && x86.op_count() > 0 && x86.op0_kind() == OpKind::Register && ARGUMENTS.contains(&target))
}

/// The cheapest sound entry.
pub fn entry(code: &Code<'_>) -> Option<Instruction> {
    let first = decode(code).next()?;
    let Some(frame_end) = code.frame_end else { return frameless(&first) };
    let mut check = None;
    for (x86, cost) in decode(code).take(MAX_PROLOGUE) {
        let offset = usize::try_from(x86.ip()).ok()?;
        if offset >= frame_end {
            break;
        }
        if offset + x86.len() == frame_end && x86.code() == Opcode::Push_r64 {
            return instruction(&x86, cost?);
        }
        if matches!(x86.mnemonic(), Mnemonic::Jbe | Mnemonic::Jb) {
            check = Some((x86, cost));
        }
        // No check comes behind this, but one that was seen may lead back to the start.
        if !keeps_arguments(&x86) {
            break;
        }
    }
    match check {
        Some((x86, cost)) => instruction(&x86, cost?),
        None => instruction(&first.0, first.1?),
    }
}

/// Without a frame there is no stack check, unless the function begins with one all the same.
fn frameless((x86, cost): &(X86, Option<Cost>)) -> Option<Instruction> {
    let checks = x86.mnemonic() == Mnemonic::Cmp && x86.memory_base() == Register::R14;
    if checks { None } else { instruction(x86, (*cost)?) }
}

/// Every return. A tail jump out of the function makes the answer incomplete, hence nothing.
pub fn exits(code: &Code<'_>) -> Option<Vec<Instruction>> {
    match code.frame_end {
        Some(_) => framed_exits(code, &code.pcsp),
        None => frameless_exits(code),
    }
}

/// What a range in which the stack pointer is back begins with.
enum Back {
    Return(Instruction),
    TailJump,
    /// The way to `morestack`.
    Other,
}

/// A `ret` begins each later range in which the stack pointer is back, behind its padding.
fn framed_exits(code: &Code<'_>, runs: &[Run]) -> Option<Vec<Instruction>> {
    let mut out = Vec::new();
    for run in runs.iter().skip(1).filter(|r| r.value == 0) {
        match back(code, run) {
            Some(Back::Return(ret)) => out.push(ret),
            Some(Back::TailJump) => return None,
            Some(Back::Other) | None => {}
        }
    }
    Some(out)
}

fn back(code: &Code<'_>, run: &Run) -> Option<Back> {
    let end = usize::try_from(run.end).ok()?.min(code.bytes.len());
    let mut decoder = Decoder::new(64, code.bytes.get(..end)?, DecoderOptions::NONE);
    decoder.set_position(usize::try_from(run.start).ok()?).ok()?;
    loop {
        let offset = decoder.position();
        let x86 = decoder.can_decode().then(|| decoder.decode())?;
        return Some(match x86.mnemonic() {
            Mnemonic::Nop => continue,
            Mnemonic::Ret => Back::Return(Instruction { offset, len: x86.len(), cost: Cost::Stepped }),
            Mnemonic::Jmp if leaves(code, offset, &x86) => Back::TailJump,
            _ => Back::Other,
        });
    }
}

/// Whether a jump decoded at `offset` leaves the function.
fn leaves(code: &Code<'_>, offset: usize, x86: &X86) -> bool {
    // The decoder counts from its own start, so the target is an offset too (a negative one wraps around).
    let skew = (offset as u64).wrapping_sub(x86.ip());
    let target = x86.near_branch_target().wrapping_add(skew);
    x86.op0_kind() != OpKind::NearBranch64 || target >= code.bytes.len() as u64
}

fn frameless_exits(code: &Code<'_>) -> Option<Vec<Instruction>> {
    let mut out = Vec::new();
    for (x86, cost) in decode(code) {
        match x86.mnemonic() {
            // Behind it nothing is sure to be what it seems.
            Mnemonic::INVALID => return None,
            Mnemonic::Ret => out.push(instruction(&x86, cost?)?),
            Mnemonic::Jmp if leaves(code, usize::try_from(x86.ip()).ok()?, &x86) => return None,
            _ => {}
        }
    }
    Some(out)
}

/// The first emulated instruction behind each call of a target (offsets from the function's entry).
pub fn after_calls(code: &Code<'_>, targets: &[u64], results: u8) -> Option<Vec<AfterCall>> {
    let results = ARGUMENTS.get(..usize::from(results))?;
    let mut out = Vec::new();
    let mut waiting: Option<(usize, usize)> = None;
    let mut info = InstructionInfoFactory::new();
    for (x86, cost) in decode(code) {
        if let Some((returns_to, distance)) = waiting {
            if cost == Some(Cost::Emulated) {
                out.push(AfterCall { returns_to, site: instruction(&x86, Cost::Emulated)? });
                waiting = None;
            } else if distance >= MAX_DISTANCE || !goes_on(&x86) || writes(&mut info, &x86, results) {
                return None;
            } else {
                waiting = Some((returns_to, distance + 1));
            }
        }
        let direct = x86.mnemonic() == Mnemonic::Call && x86.op0_kind() == OpKind::NearBranch64;
        if direct && targets.contains(&x86.near_branch_target()) {
            waiting = Some((usize::try_from(x86.next_ip()).ok()?, 0));
        }
    }
    if waiting.is_some() { None } else { Some(out) }
}

/// Whether the next instruction is the one behind it.
fn goes_on(x86: &X86) -> bool {
    x86.flow_control() == FlowControl::Next
}

/// Whether an instruction writes one of the registers, or that of the goroutine.
fn writes(factory: &mut InstructionInfoFactory, x86: &X86, registers: &[Register]) -> bool {
    factory.info(x86).used_registers().iter().any(|used| {
        let full = used.register().full_register();
        let written = !matches!(used.access(), OpAccess::None | OpAccess::Read | OpAccess::CondRead);
        written && (full == Register::R14 || registers.contains(&full))
    })
}

/// Offsets that direct jumps of the function lead to.
pub fn jump_targets(code: &Code<'_>) -> Vec<usize> {
    let direct = |x86: &X86| {
        x86.op0_kind() == OpKind::NearBranch64
            && matches!(x86.flow_control(), FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch)
    };
    decode(code)
        .filter(|(x86, _)| direct(x86))
        .filter_map(|(x, _)| x.near_branch_target().try_into().ok())
        .collect()
}

/// Jumps through a register or a word of memory. `lea` of an address beside the code is how Go loads a table's.
pub fn indirect_jumps(code: &Code<'_>) -> Vec<IndirectJump> {
    let mut loads: Vec<(Register, u64)> = Vec::new();
    let mut bases: Vec<Register> = Vec::new();
    for (x86, _) in decode(code) {
        if x86.mnemonic() == Mnemonic::Lea && x86.memory_base() == Register::RIP {
            // The decoder counts from the function's entry.
            loads.push((x86.op0_register(), code.vaddr.wrapping_add(x86.memory_displacement64())));
        } else if x86.mnemonic() == Mnemonic::Jmp && x86.op0_kind() != OpKind::NearBranch64 {
            let scaled = x86.op0_kind() == OpKind::Memory && x86.memory_index_scale() == 8;
            bases.push(if scaled { x86.memory_base() } else { Register::None });
        }
    }
    super::with_tables(bases, &loads)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(bytes: &[u8]) -> Option<Cost> {
        let x86 = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
        cost(bytes.get(..x86.len()).unwrap_or_default(), &x86)
    }

    #[test]
    fn the_floor_kernel_emulates_branches_and_pushes() {
        for (bytes, want) in [
            (&[0x55][..], Some(Cost::Emulated)),               // push %rbp
            (&[0x41, 0x54], Some(Cost::Emulated)),             // push %r12
            (&[0xe8, 0, 0, 0, 0], Some(Cost::Emulated)),       // call
            (&[0xe9, 0, 0, 0, 0], Some(Cost::Emulated)),       // jmp
            (&[0x76, 0x10], Some(Cost::Emulated)),             // jbe
            (&[0x0f, 0x86, 0, 0, 0, 0], Some(Cost::Emulated)), // jbe near
            (&[0x90], Some(Cost::Emulated)),                   // nop
            (&[0x66, 0x90], None),                             // refused
            (&[0x0f, 0x1f, 0x00], Some(Cost::Stepped)),        // long nop
            (&[0xc3], Some(Cost::Stepped)),                    // ret
            (&[0x49, 0x3b, 0x66, 0x10], Some(Cost::Stepped)),  // cmp
            (&[0xff, 0xd0], Some(Cost::Stepped)),              // call *%rax
            (&[0x06], None),                                   // no such instruction
        ] {
            assert_eq!(costs(bytes), want, "{bytes:02x?}");
        }
    }

    /// `serve` behind its call of readRequest, Go 1.26: spills, a comparison, `je`.
    const SERVE: &[u8] = &[
        0xe8, 0x0b, 0x00, 0x00, 0x00, // call 0x10
        0x48, 0x89, 0x44, 0x24, 0x08, // mov %rax,0x8(%rsp)
        0x48, 0x8b, 0x32, // mov (%rdx),%rsi
        0x48, 0x39, 0x7e, 0x38, // cmp %rdi,0x38(%rsi)
        0x74, 0x01, // je
        0x90, 0xc3,
    ];

    fn code(bytes: &[u8]) -> Code<'_> {
        Code { vaddr: 0, bytes, pcsp: Vec::new(), frame_end: None }
    }

    #[test]
    fn the_site_behind_a_call_has_the_results_in_place() {
        let site = |results| {
            let found = after_calls(&code(SERVE), &[0x10], results)?;
            found.first().map(|f| (f.returns_to, f.site.offset, f.site.cost))
        };
        assert_eq!(site(3), Some((5, 17, Cost::Emulated)));
        assert_eq!(site(5), None, "%rsi is the fifth result and is overwritten");
        assert!(after_calls(&code(SERVE), &[0x20], 3).is_some_and(|found| found.is_empty()));
        assert_eq!(jump_targets(&code(SERVE)), [20]);
    }
}
