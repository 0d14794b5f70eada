//! Sites in AArch64 code. Every instruction is one little-endian word, so fixed patterns serve.
//!
//! ```text
//!  [ldr x16,[x28,#16]]  [cmp sp,x16]  [b.ls morestack]  str x30,[sp,#-N]!  stur x29,[sp,#-8]  sub x29,sp,#8
//! ```
//!
//! | pattern | mask | instruction | simulated by the floor kernel |
//! |---|---|---|---|
//! | `54000000` | `ff000010` | `b.cond` | yes |
//! | `14000000` | `7c000000` | `b`, `bl` | yes |
//! | `34000000` | `7e000000` | `cbz`, `cbnz` | yes |
//! | `36000000` | `7e000000` | `tbz`, `tbnz` | yes |
//! | `d61f0000` | `ff9ffc1f` | `br`, `blr`, `ret` | yes |
//! | `10000000` | `1f000000` | `adr`, `adrp` | yes |
//! | `18000000` | `bf000000` | `ldr` literal | yes |

use super::code::{Code, Instruction};
use super::site::Cost;
use super::step::{Abi, Flow, Nil, Registers, Step, Value};
use super::tables::{self, IndirectJump};
use crate::bytes;
use crate::go::functions::Run;

const WORD: usize = 4;
/// The check of a huge frame has 7 instructions; a large frame is made by 4 more.
const MAX_PROLOGUE: usize = 16;
const RET: u32 = 0xd65f_03c0;
/// `b.lo` (condition 3) and `b.ls` (condition 9).
const LOWER: [u32; 2] = [3, 9];
const SIMULATED: [(u32, u32); 7] = [
    (0x5400_0000, 0xff00_0010),
    (0x1400_0000, 0x7c00_0000),
    (0x3400_0000, 0x7e00_0000),
    (0x3600_0000, 0x7e00_0000),
    (0xd61f_0000, 0xff9f_fc1f),
    (0x1000_0000, 0x1f00_0000),
    (0x1800_0000, 0xbf00_0000),
];

fn cost(word: u32) -> Cost {
    let simulated = SIMULATED.iter().any(|&(pattern, mask)| word & mask == pattern);
    if simulated { Cost::Emulated } else { Cost::Stepped }
}

fn is_check(word: u32) -> bool {
    word & 0xff00_0010 == 0x5400_0000 && LOWER.contains(&(word & 0xf))
}

/// Whether the word, if it writes its lowest register field, writes none of x0-x15 (arguments) or x26 (closure).
fn keeps_arguments(word: u32) -> bool {
    is_check(word) || (word & 0x1f >= 16 && word & 0x1f != 26)
}

fn words<'a>(code: &Code<'a>) -> impl Iterator<Item = (usize, u32)> + 'a {
    code.bytes.chunks_exact(WORD).enumerate().filter_map(|(i, w)| Some((i * WORD, bytes::u32(w, 0)?)))
}

fn instruction(offset: usize, word: u32) -> Instruction {
    Instruction { offset, len: WORD, cost: cost(word) }
}

/// The check's own branch, else the first instruction.
pub fn entry(code: &Code<'_>) -> Option<Instruction> {
    let frame_end = code.frame_end.unwrap_or(0);
    let mut check = None;
    for (offset, word) in words(code).take(MAX_PROLOGUE).take_while(|&(o, _)| o + WORD < frame_end) {
        if is_check(word) {
            check = Some(instruction(offset, word));
        }
        // No check comes behind this.
        if !keeps_arguments(word) {
            break;
        }
    }
    // `udf` is no code: the linker's markers of where FIPS code begins and ends are functions of zeros. Where the assembler begins one
    // instruction made of several, a goroutine that is preempted in it comes back to: a call would be hit twice.
    let comes_back = |word| Registers::of(ABI.scratch).meets(Registers::of(writes(word)));
    let first = words(code).next().filter(|&(_, word)| word >> 16 != 0 && !comes_back(word));
    check.or_else(|| first.map(|(offset, word)| instruction(offset, word)))
}

/// Every `ret`. A way out of the function by a jump makes the answer incomplete, hence nothing.
pub fn exits(code: &Code<'_>) -> Option<Vec<Instruction>> {
    let mut out = Vec::new();
    for (offset, word) in words(code) {
        let is_jump = word & 0xfc00_0000 == 0x1400_0000;
        if word == RET {
            out.push(instruction(offset, word));
        } else if (is_jump && !stays(code, offset, word)) || leaves_by_register(code, offset, word) {
            return None;
        }
    }
    Some(out)
}

/// Go 1.27's wrappers leave by `ret x1`, others by `br`. A `br` while the frame is there is a switch's jump table.
fn leaves_by_register(code: &Code<'_>, offset: usize, word: u32) -> bool {
    let at = |pcsp: &[Run]| pcsp.get(pcsp.partition_point(|run| run.end <= offset as u64)).copied();
    let has_frame = || at(&code.pcsp).is_some_and(|run| run.value > 0);
    match word & 0xffff_fc1f {
        0xd65f_0000 => word != RET,
        0xd61f_0000 => !has_frame(),
        _ => false,
    }
}

/// Whether the target of a `b` lies in the function.
fn stays(code: &Code<'_>, offset: usize, word: u32) -> bool {
    let target = i64::try_from(offset).unwrap_or(0).checked_add(distance(word));
    target.and_then(|t| usize::try_from(t).ok()).is_some_and(|t| t < code.bytes.len())
}

/// Go's internal ABI.
pub const ABI: Abi = Abi {
    results: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    goroutine: 28,
    stack: 31,
    pushed: 0,
    scratch: Some(27),
};

/// What each instruction does. Targets count from the function's entry. As a register that is written, 31 is the stack pointer,
/// or nothing (`xzr`): where it matters both count as the stack pointer.
pub fn steps<'a>(code: &Code<'a>) -> impl Iterator<Item = Step> + 'a {
    let (vaddr, mut before) = (code.vaddr, 0);
    words(code).map(move |(offset, word)| {
        let step = Step {
            offset,
            len: WORD,
            cost: Some(cost(word)),
            flow: flow(offset, word),
            writes: Registers::of(writes(word)),
            compares: compares(word),
            nil: nil(word),
            sets: sets(vaddr.wrapping_add(offset as u64), before, word),
        };
        before = word;
        step
    })
}

fn register(word: u32, bit: u32) -> u8 {
    u8::try_from(word >> bit & 0x1f).unwrap_or(0)
}

fn flow(offset: usize, word: u32) -> Flow {
    let target = |by| (offset as u64).wrapping_add_signed(by);
    match word {
        _ if word & 0xfc00_0000 == 0x1400_0000 => Flow::Jump(target(distance(word))),
        _ if word & 0xfc00_0000 == 0x9400_0000 => Flow::Call(target(distance(word))),
        _ if word & 0xffff_fc1f == 0xd63f_0000 => Flow::Indirect(Some(register(word, 5))),
        _ if word & 0xffff_fc1f == 0xd65f_0000 => Flow::Return,
        _ if word & 0xfe00_0000 == 0xd600_0000 => Flow::Away,
        // brk, svc, hlt; udf.
        _ if word & 0xff00_0000 == 0xd400_0000 || word >> 16 == 0 => Flow::Stop,
        _ => branch(word).map_or(Flow::Next, |by| Flow::Branch(target(by))),
    }
}

/// `cmp` of two registers.
fn compares(word: u32) -> Registers {
    let is_compare = word & 0xff20_001f == 0xeb00_001f;
    Registers::of(is_compare.then(|| [register(word, 5), register(word, 16)]).into_iter().flatten())
}

/// `cbz` and `cbnz` of 64 bits.
fn nil(word: u32) -> Option<Nil> {
    let is_taken = match word & 0xff00_0000 {
        0xb400_0000 => true,
        0xb500_0000 => false,
        _ => return None,
    };
    Some(Nil { register: register(word, 0), is_taken })
}

/// What loads from the stack and additions to an address put into their registers.
fn sets(vaddr: u64, before: u32, word: u32) -> [Option<(u8, Value)>; 2] {
    let (low, base, second) = (register(word, 0), register(word, 5), register(word, 10));
    let on_stack = base == ABI.stack;
    let load = |by: i64| if on_stack { Value::StackWord(by) } else { Value::Word(by) };
    let unsigned = i64::from(word >> 10 & 0xfff);
    let value = if let Some(address) = word_of_page(vaddr, before, word) {
        Value::Loaded(address)
    } else if word & 0xffc0_0000 == 0xf940_0000 {
        load(unsigned * 8) // ldr x,[x,#12 bits of words]
    } else if word & 0xffe0_0c00 == 0xf840_0000 {
        load((i64::from(word >> 12 & 0x1ff) << 55) >> 55) // ldur x,[x,#9 bits]
    } else if word & 0xffc0_0000 == 0xa940_0000 {
        let by = ((i64::from(word >> 15 & 0x7f) << 57) >> 57) * 8; // ldp x,x,[x,#7 bits of words]
        return [Some((low, load(by))), Some((second, load(by + 8)))];
    } else if word & 0xff80_0000 == 0x9100_0000 && low != ABI.stack && on_stack {
        Value::StackAddress(if word & 0x0040_0000 == 0 { unsigned } else { unsigned << 12 }) // add x,sp,#12 bits
    } else if word & 0xffe0_ffe0 == 0xaa00_03e0 {
        Value::Copy(register(word, 16)) // mov x,x: orr x,xzr,x
    } else if let Some(address) = addition(vaddr, before, word) {
        Value::Address(address)
    } else {
        return [None, None];
    };
    [Some((low, value)), None]
}

/// The address of the word that an `adrp` and the `ldr` of 64 bits just behind it load.
fn word_of_page(vaddr: u64, before: u32, ldr: u32) -> Option<u64> {
    let is_pair = ldr & 0xffc0_0000 == 0xf940_0000 && before & 0x9f00_0000 == 0x9000_0000;
    let same = register(before, 0) == register(ldr, 5);
    let page = page(vaddr.wrapping_sub(WORD as u64), before).filter(|_| is_pair && same)?;
    Some(page.wrapping_add(u64::from(ldr >> 10 & 0xfff) * 8))
}

/// The address that an `adrp` and the `add` just behind it load.
fn addition(vaddr: u64, before: u32, add: u32) -> Option<u64> {
    let is_pair = add & 0xffc0_0000 == 0x9100_0000 && before & 0x9f00_0000 == 0x9000_0000;
    let same = register(before, 0) == register(add, 5);
    let page = page(vaddr.wrapping_sub(WORD as u64), before).filter(|_| is_pair && same)?;
    Some(page.wrapping_add(u64::from(add >> 10 & 0xfff)))
}

/// Registers that an instruction may write: the lowest field, of pairs the second too, of those with write-back the base, of
/// exclusive and atomic ones the status or the old value. Unknown instructions count as writing their lowest field, as all data
/// processing does.
fn writes(word: u32) -> impl Iterator<Item = u8> {
    let (first, base, second) = (register(word, 0), register(word, 5), register(word, 10));
    // Arm ARM, C4.1: loads and stores have op0 x1x0 in bits 28 to 25; bit 22 tells loads from stores, and of the unscaled
    // and immediate forms bits 23 and 22 together; pairs are 101 in bits 29 to 27.
    let memory = word & 0x0a00_0000 == 0x0800_0000;
    let pair = memory && word & 0x3800_0000 == 0x2800_0000;
    let single = word & 0x3b20_0000 == 0x3800_0000;
    let write_back = (single && word & 0x400 != 0) || (pair && word & 0x0080_0000 != 0);
    let store = memory && if pair { word & 0x0040_0000 == 0 } else { word & 0x00c0_0000 == 0 };
    // ldxr, stxr, cas (bits 29 to 24 are 001000) have a register in bits 20 to 16 that stxr and cas write; ldadd and swp
    // (111000, bit 21, bits 11 and 10 clear) write their lowest field whatever bits 23 and 22 say of ordering.
    let exclusive = word & 0x3f00_0000 == 0x0800_0000;
    let atomic = word & 0x3f20_0c00 == 0x3820_0000;
    let all = [
        (!store || exclusive || atomic).then_some(first),
        ((pair && !store) || exclusive).then_some(second),
        write_back.then_some(base),
        exclusive.then_some(register(word, 16)),
    ];
    // cmp, cmn, tst and nop name the zero register or none.
    all.into_iter().flatten()
}

/// Offsets that direct jumps of the function lead to.
pub fn jump_targets(code: &Code<'_>) -> Vec<usize> {
    let target = |(offset, word): (usize, u32)| {
        let by = if word & 0xfc00_0000 == 0x1400_0000 { distance(word) } else { branch(word)? };
        usize::try_from((offset as u64).wrapping_add_signed(by)).ok()
    };
    words(code).filter_map(target).collect()
}

/// How far a conditional branch jumps, if it is one.
fn branch(word: u32) -> Option<i64> {
    if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
        // b.cond, cbz: 19 bits from bit 5.
        Some((i64::from(word >> 5 & 0x7_ffff) << 45) >> 43)
    } else if word & 0x7e00_0000 == 0x3600_0000 {
        // tbz: 14 bits from bit 5.
        Some((i64::from(word >> 5 & 0x3fff) << 50) >> 48)
    } else {
        None
    }
}

/// How far a `b` or `bl` jumps.
fn distance(word: u32) -> i64 {
    (i64::from(word & 0x03ff_ffff) << 38) >> 36
}

/// Jumps through a register. `adrp` and the `add` behind it are how Go loads a table's address.
pub fn indirect_jumps(code: &Code<'_>) -> Vec<IndirectJump> {
    let mut loads: Vec<(u32, u64)> = Vec::new();
    let mut bases: Vec<u32> = Vec::new();
    let mut before = 0;
    for (offset, word) in words(code) {
        let base = word >> 5 & 0x1f;
        if let Some(table) = addition(code.vaddr.wrapping_add(offset as u64), before, word) {
            loads.push((word & 0x1f, table));
        } else if word & 0xffff_fc1f == 0xd61f_0000 {
            // ldr xR,[xT,xI,lsl #3] just before br xR.
            let is_entry = before & 0xffe0_fc00 == 0xf860_7800 && before & 0x1f == base;
            bases.push(if is_entry { before >> 5 & 0x1f } else { NO_REGISTER });
        }
        before = word;
    }
    tables::with_tables(&bases, &loads)
}

/// No register has this number.
const NO_REGISTER: u32 = u32::MAX;

/// The page that an `adrp` at an address loads: 21 bits of pages, the two lowest apart.
fn page(vaddr: u64, adrp: u32) -> Option<u64> {
    let pages = i64::from((adrp >> 5 & 0x7_ffff) << 2 | adrp >> 29 & 3);
    (vaddr & !0xfff).checked_add_signed((pages << 43) >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_kernel_simulates_branches() {
        for (word, want) in [
            (0x5400_01c9, Cost::Emulated), // b.ls
            (0x9400_0001, Cost::Emulated), // bl
            (0x1400_0001, Cost::Emulated), // b
            (0xb400_0040, Cost::Emulated), // cbz
            (0x3600_0040, Cost::Emulated), // tbz
            (RET, Cost::Emulated),
            (0xd63f_0040, Cost::Emulated), // blr x2
            (0xf81f_0ffe, Cost::Stepped),  // str x30,[sp,#-16]!
            (0xf940_0b90, Cost::Stepped),  // ldr x16,[x28,#16]
            (0xd503_201f, Cost::Stepped),  // nop
        ] {
            assert_eq!(cost(word), want, "{word:08x}");
        }
    }

    #[test]
    fn the_check_keeps_arguments() {
        for word in [0xf940_0b90, 0xeb30_63ff, 0xd102_03f1, 0xeb10_023f, 0x5400_01c9] {
            assert!(keeps_arguments(word), "{word:08x}");
        }
        assert!(!keeps_arguments(0xf940_0000)); // ldr x0,[x0]
    }

    #[test]
    fn written_registers_are_known() {
        for (word, want) in [
            (0xf900_03e0, vec![]),         // str x0,[sp]
            (0xf81f_0ffe, vec![31]),       // str x30,[sp,#-16]!
            (0xf940_0b81, vec![1]),        // ldr x1,[x28,#16]
            (0xf841_07fe, vec![30, 31]),   // ldr x30,[sp],#16
            (0xa940_07e0, vec![0, 1]),     // ldp x0,x1,[sp]
            (0xa900_07e0, vec![]),         // stp x0,x1,[sp]
            (0xa9bf_7bfd, vec![31]),       // stp x29,x30,[sp,#-16]!
            (0x9100_03e1, vec![1]),        // add x1,sp,#0
            (0xeb01_001f, vec![31]),       // cmp x0,x1
            (0xd503_201f, vec![31]),       // nop
            (0xc802_fc20, vec![0, 31, 2]), // stlxr w2,x0,[x1]
            (0xc8e2_fc20, vec![0, 31, 2]), // casal x2,x0,[x1]
            (0xf822_0020, vec![0]),        // ldadd x2,x0,[x1]
        ] {
            assert_eq!(writes(word).collect::<Vec<_>>(), want, "{word:08x}");
        }
    }

    #[test]
    fn steps_say_what_an_instruction_does() {
        for (word, flow, sets) in [
            (0x9400_0004, Flow::Call(0x10), [None, None]),
            (0xd63f_0040, Flow::Indirect(Some(2)), [None, None]), // blr x2
            (0x1400_0004, Flow::Jump(0x10), [None, None]),
            (0xd61f_0360, Flow::Away, [None, None]), // br x27
            (0xb400_0080, Flow::Branch(0x10), [None, None]),
            (RET, Flow::Return, [None, None]),
            (0xd420_0000, Flow::Stop, [None, None]), // brk
            (0x0000_0000, Flow::Stop, [None, None]), // udf
            (0xf940_0fe1, Flow::Next, [Some((1, Value::StackWord(24))), None]), // ldr x1,[sp,#24]
            (0xf85f_83e1, Flow::Next, [Some((1, Value::StackWord(-8))), None]), // ldur x1,[sp,#-8]
            (0xf940_0c41, Flow::Next, [Some((1, Value::Word(24))), None]), // ldr x1,[x2,#24]
            (0xb940_1be1, Flow::Next, [None, None]), // ldr w1,[sp,#24]
            (0xa95e_07e0, Flow::Next, [Some((0, Value::StackWord(480))), Some((1, Value::StackWord(488)))]),
            (0xa8c1_07e0, Flow::Next, [None, None]), // ldp x0,x1,[sp],#16
            (0xaa02_03e1, Flow::Next, [Some((1, Value::Copy(2))), None]), // mov x1,x2
            (0x2a02_03e1, Flow::Next, [None, None]), // mov w1,w2
            (0x9105_03e0, Flow::Next, [Some((0, Value::StackAddress(0x140))), None]), // add x0,sp,#0x140
            (0x9140_07e0, Flow::Next, [Some((0, Value::StackAddress(0x1000))), None]), // add x0,sp,#1,lsl #12
            (0x9105_03ff, Flow::Next, [None, None]), // add sp,sp,#0x140
        ] {
            let bytes = u32::to_le_bytes(word);
            let code = Code { vaddr: 0x1000, bytes: &bytes, pcsp: Vec::new(), frame_end: None };
            let step = steps(&code).next().expect("a step");
            assert_eq!((step.flow, step.sets), (flow, sets), "{word:08x}");
        }
        // adrp x3,.; add x3,x3,#0x800; cmp x0,x3
        let bytes: Vec<u8> =
            [0x9000_0003_u32, 0x9120_0063, 0xeb03_001f].iter().flat_map(|w| w.to_le_bytes()).collect();
        let code = Code { vaddr: 0x1000, bytes: &bytes, pcsp: Vec::new(), frame_end: None };
        let all: Vec<Step> = steps(&code).collect();
        assert_eq!(all[1].sets[0], Some((3, Value::Address(0x1800))));
        assert_eq!(all[2].compares, Registers::of([0, 3]));
    }

    #[test]
    fn jumps_lead_where_they_say() {
        let bytes: Vec<u8> = [0x1400_0002_u32, 0x54ff_ffe9, 0xb400_0040, 0x3607_fff8]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        let code = Code { vaddr: 0, bytes: &bytes, pcsp: Vec::new(), frame_end: None };
        assert_eq!(jump_targets(&code), [8, 0, 16, 8]);
    }
}
