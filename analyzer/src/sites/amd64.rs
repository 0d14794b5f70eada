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

use super::code::{Code, Instruction};
use super::site::Cost;
use super::step::{Abi, Flow, Nil, Registers, Step, Value};
use super::tables::{self, IndirectJump};
use crate::go::functions::Run;

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

/// Go's internal ABI. iced numbers the general registers as the machine does.
pub const ABI: Abi =
    Abi { results: &[0, 3, 1, 7, 6, 8, 9, 10, 11], goroutine: 14, stack: 4, pushed: 8, scratch: None };

/// What each instruction does. Targets count from the function's entry, where the decoder begins.
pub fn steps<'a>(code: &Code<'a>) -> impl Iterator<Item = Step> + 'a {
    let vaddr = code.vaddr;
    let mut info = InstructionInfoFactory::new();
    let mut tested = None;
    decode(code).map_while(move |(x86, cost)| {
        let nil = tested.and_then(|register| nil(&x86, register));
        tested = tests(&x86);
        let used = info.info(&x86).used_registers().iter();
        let written = used
            .filter(|used| !matches!(used.access(), OpAccess::None | OpAccess::Read | OpAccess::CondRead));
        Some(Step {
            offset: usize::try_from(x86.ip()).ok()?,
            len: x86.len(),
            cost,
            flow: flow(&x86),
            writes: Registers::of(written.filter_map(|used| number(used.register()))),
            compares: compares(&x86),
            nil,
            sets: [set(&x86, vaddr), None],
        })
    })
}

/// The number of a general register, or of the one that it is a part of.
fn number(register: Register) -> Option<u8> {
    let full = register.full_register();
    full.is_gpr64().then(|| u8::try_from(full.number()).ok()).flatten()
}

fn flow(x86: &X86) -> Flow {
    let near = x86.op0_kind() == OpKind::NearBranch64;
    match x86.flow_control() {
        _ if x86.mnemonic() == Mnemonic::INVALID => Flow::Undecoded,
        FlowControl::Next => Flow::Next,
        FlowControl::ConditionalBranch if near => Flow::Branch(x86.near_branch_target()),
        FlowControl::UnconditionalBranch if near => Flow::Jump(x86.near_branch_target()),
        FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => Flow::Away,
        FlowControl::Call if near => Flow::Call(x86.near_branch_target()),
        FlowControl::IndirectCall => Flow::Indirect(number(x86.op0_register())),
        FlowControl::Return => Flow::Return,
        _ => Flow::Stop,
    }
}

fn compares(x86: &X86) -> Registers {
    let operand = |i| (x86.op_kind(i) == OpKind::Register).then(|| number(x86.op_register(i))).flatten();
    let operands = if x86.mnemonic() == Mnemonic::Cmp { 0..x86.op_count() } else { 0..0 };
    Registers::of(operands.filter_map(operand))
}

/// The register that an instruction compares with zero: `test r,r`, of 64 bits.
fn tests(x86: &X86) -> Option<u8> {
    let is_test = x86.code() == Opcode::Test_rm64_r64 && x86.op0_kind() == OpKind::Register;
    (is_test && x86.op0_register() == x86.op1_register()).then(|| number(x86.op0_register())).flatten()
}

/// What a branch just behind that depends on.
fn nil(x86: &X86, register: u8) -> Option<Nil> {
    match x86.mnemonic() {
        Mnemonic::Je => Some(Nil { register, is_taken: true }),
        Mnemonic::Jne => Some(Nil { register, is_taken: false }),
        _ => None,
    }
}

/// What a `mov` or a `lea` puts into its register.
fn set(x86: &X86, vaddr: u64) -> Option<(u8, Value)> {
    let target = number(x86.op0_register())?;
    let plain = x86.memory_index() == Register::None && x86.segment_prefix() == Register::None;
    let distance = x86.memory_displacement64().cast_signed();
    let registers = [x86.op0_kind(), x86.op1_kind()] == [OpKind::Register; 2];
    if registers && matches!(x86.code(), Opcode::Mov_r64_rm64 | Opcode::Mov_rm64_r64) {
        return Some((target, Value::Copy(number(x86.op1_register())?)));
    }
    let value = match (x86.code(), x86.memory_base()) {
        (Opcode::Mov_r64_rm64, Register::None) => return None,
        (Opcode::Mov_r64_rm64, _) if x86.op1_kind() != OpKind::Memory || !plain => return None,
        (Opcode::Mov_r64_rm64, Register::RIP) => {
            Value::Loaded(vaddr.wrapping_add(x86.memory_displacement64()))
        }
        (Opcode::Mov_r64_rm64, Register::RSP) => Value::StackWord(distance),
        (Opcode::Mov_r64_rm64, _) => Value::Word(distance),
        (Opcode::Lea_r64_m, Register::RSP) if plain => Value::StackAddress(distance),
        (Opcode::Lea_r64_m, Register::RIP) => Value::Address(vaddr.wrapping_add(x86.memory_displacement64())),
        _ => return None,
    };
    Some((target, value))
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
    tables::with_tables(&bases, &loads)
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

    #[test]
    fn steps_say_what_an_instruction_does() {
        // As objdump reads them; all at offset 0, in a function at 0x1000.
        let all = |numbers: &[u8]| Registers::of(numbers.iter().copied());
        for (bytes, flow, writes, set) in [
            (&[0xe8, 0x0b, 0, 0, 0][..], Flow::Call(0x10), all(&[4]), None), // call 0x10
            (&[0xff, 0xd1], Flow::Indirect(Some(1)), all(&[4]), None),       // call *%rcx
            (&[0xff, 0x51, 0x18], Flow::Indirect(None), all(&[4]), None),    // call *0x18(%rcx)
            (&[0xeb, 0xfe], Flow::Jump(0), all(&[]), None),
            (&[0xff, 0xe1], Flow::Away, all(&[]), None), // jmp *%rcx
            (&[0x74, 0x0e], Flow::Branch(0x10), all(&[]), None),
            (&[0xc3], Flow::Return, all(&[4]), None),
            (&[0xcc], Flow::Stop, all(&[]), None),            // int3
            (&[0x0f, 0x0b], Flow::Stop, all(&[]), None),      // ud2
            (&[0x0f, 0x05], Flow::Stop, all(&[1, 11]), None), // syscall
            (&[0x06], Flow::Undecoded, all(&[]), None),
            (&[0x31, 0xc0], Flow::Next, all(&[0]), None), // xor %eax,%eax
            (&[0x48, 0x8b, 0x44, 0x24, 0x40], Flow::Next, all(&[0]), Some((0, Value::StackWord(0x40)))),
            (&[0x48, 0x8b, 0x4a, 0x18], Flow::Next, all(&[1]), Some((1, Value::Word(0x18)))), // mov 0x18(%rdx),%rcx
            (&[0x8b, 0x44, 0x24, 0x40], Flow::Next, all(&[0]), None), // mov 0x40(%rsp),%eax
            (&[0x48, 0x8b, 0x44, 0xcc, 0x40], Flow::Next, all(&[0]), None), // mov 0x40(%rsp,%rcx,8),%rax
            (&[0x48, 0x89, 0xc1], Flow::Next, all(&[1]), Some((1, Value::Copy(0)))), // mov %rax,%rcx
            (&[0x48, 0x8b, 0xc8], Flow::Next, all(&[1]), Some((1, Value::Copy(0)))), // the other encoding of it
            (&[0x89, 0xc1], Flow::Next, all(&[1]), None),                            // mov %eax,%ecx
            (&[0x48, 0x89, 0x01], Flow::Next, all(&[]), None),                       // mov %rax,(%rcx)
            (&[0x48, 0x8d, 0x44, 0x24, 0x20], Flow::Next, all(&[0]), Some((0, Value::StackAddress(0x20)))),
            (&[0x48, 0x8d, 0x05, 0x10, 0, 0, 0], Flow::Next, all(&[0]), Some((0, Value::Address(0x1017)))),
            (&[0x48, 0x8b, 0x05, 0x10, 0, 0, 0], Flow::Next, all(&[0]), Some((0, Value::Loaded(0x1017)))),
            (&[0x8b, 0x05, 0x10, 0, 0, 0], Flow::Next, all(&[0]), None), // mov 0x10(%rip),%eax
        ] {
            let code = Code { vaddr: 0x1000, bytes, pcsp: Vec::new(), frame_end: None };
            let step = steps(&code).next().expect("a step");
            assert_eq!((step.flow, step.sets[0]), (flow, set), "{bytes:02x?}");
            // A call's and a return's pushing and popping is iced's to say.
            if flow == Flow::Next {
                assert_eq!(step.writes, writes, "{bytes:02x?}");
            }
        }
        let cmp = [0x48, 0x39, 0xc8]; // cmp %rcx,%rax
        let code = Code { vaddr: 0, bytes: &cmp, pcsp: Vec::new(), frame_end: None };
        assert_eq!(steps(&code).next().map(|step| step.compares), Some(all(&[0, 1])));
    }

    #[test]
    fn jumps_lead_where_they_say() {
        let bytes = [0x74, 0x02, 0x90, 0x90, 0xeb, 0xfa]; // je to the jmp, which leads to the first nop
        let code = Code { vaddr: 0, bytes: &bytes, pcsp: Vec::new(), frame_end: None };
        assert_eq!(jump_targets(&code), [4, 0]);
    }
}
