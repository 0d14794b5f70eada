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

use super::{AfterCall, Code, IndirectJump, Instruction, MAX_DISTANCE};
use crate::bytes;
use crate::go::functions::Run;
use crate::plan::Cost;

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
    // `udf` is no code: the linker's markers of where FIPS code begins and ends are functions of zeros.
    let first = words(code).next().filter(|&(_, word)| word >> 16 != 0);
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

/// The first simulated instruction behind each `bl` of a target (offsets from the function's entry).
pub fn after_calls(code: &Code<'_>, targets: &[u64], results: u8) -> Option<Vec<AfterCall>> {
    let mut out = Vec::new();
    let mut waiting: Option<(usize, usize)> = None;
    for (offset, word) in words(code) {
        if let Some((returns_to, distance)) = waiting {
            if cost(word) == Cost::Emulated {
                out.push(AfterCall { returns_to, site: instruction(offset, word) });
                waiting = None;
            } else if distance >= MAX_DISTANCE
                || writes(word).any(|r| r < u32::from(results) || r == GOROUTINE)
            {
                return None;
            } else {
                waiting = Some((returns_to, distance + 1));
            }
        }
        let target = (offset as u64).wrapping_add_signed(distance(word));
        if word & 0xfc00_0000 == 0x9400_0000 && targets.contains(&target) {
            waiting = Some((offset + WORD, 0));
        }
    }
    if waiting.is_some() { None } else { Some(out) }
}

/// The register that holds `g`.
const GOROUTINE: u32 = 28;

/// Registers that an instruction may write: the lowest field, of pairs the second too, of those with write-back the base.
/// Unknown instructions count as writing their lowest field, as all data processing does.
fn writes(word: u32) -> impl Iterator<Item = u32> {
    let (first, base, second) = (word & 0x1f, word >> 5 & 0x1f, word >> 10 & 0x1f);
    // Arm ARM, C4.1: loads and stores have op0 x1x0 in bits 28 to 25; bit 22 tells loads from stores, and of the unscaled
    // and immediate forms bits 23 and 22 together; pairs are 101 in bits 29 to 27.
    let memory = word & 0x0a00_0000 == 0x0800_0000;
    let pair = memory && word & 0x3800_0000 == 0x2800_0000;
    let single = word & 0x3b20_0000 == 0x3800_0000;
    let write_back = (single && word & 0x400 != 0) || (pair && word & 0x0080_0000 != 0);
    let store = memory && if pair { word & 0x0040_0000 == 0 } else { word & 0x00c0_0000 == 0 };
    // cmp, cmn, tst and nop name the zero register or none.
    let out = [(!store).then_some(first), (pair && !store).then_some(second), write_back.then_some(base)];
    out.into_iter().flatten()
}

/// Offsets that direct jumps of the function lead to.
pub fn jump_targets(code: &Code<'_>) -> Vec<usize> {
    let target = |(offset, word): (usize, u32)| {
        let by = if word & 0xfc00_0000 == 0x1400_0000 {
            distance(word)
        } else if word & 0xff00_0010 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
            // b.cond, cbz: 19 bits from bit 5.
            (i64::from(word >> 5 & 0x7_ffff) << 45) >> 43
        } else if word & 0x7e00_0000 == 0x3600_0000 {
            // tbz: 14 bits from bit 5.
            (i64::from(word >> 5 & 0x3fff) << 50) >> 48
        } else {
            return None;
        };
        usize::try_from((offset as u64).wrapping_add_signed(by)).ok()
    };
    words(code).filter_map(target).collect()
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
        let (low, base) = (word & 0x1f, word >> 5 & 0x1f);
        if word & 0xffc0_0000 == 0x9100_0000
            && before & 0x9f00_0000 == 0x9000_0000
            && before & 0x1f == base
            && let Some(page) = page(code.vaddr.wrapping_add(offset as u64).wrapping_sub(WORD as u64), before)
        {
            loads.push((low, page.wrapping_add(u64::from(word >> 10 & 0xfff))));
        } else if word & 0xffff_fc1f == 0xd61f_0000 {
            // ldr xR,[xT,xI,lsl #3] just before br xR.
            let is_entry = before & 0xffe0_fc00 == 0xf860_7800 && before & 0x1f == base;
            bases.push(if is_entry { before >> 5 & 0x1f } else { NO_REGISTER });
        }
        before = word;
    }
    super::with_tables(bases, &loads)
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
            (0xf900_03e0, vec![]),       // str x0,[sp]
            (0xf81f_0ffe, vec![31]),     // str x30,[sp,#-16]!
            (0xf940_0b81, vec![1]),      // ldr x1,[x28,#16]
            (0xf841_07fe, vec![30, 31]), // ldr x30,[sp],#16
            (0xa940_07e0, vec![0, 1]),   // ldp x0,x1,[sp]
            (0xa900_07e0, vec![]),       // stp x0,x1,[sp]
            (0xa9bf_7bfd, vec![31]),     // stp x29,x30,[sp,#-16]!
            (0x9100_03e1, vec![1]),      // add x1,sp,#0
            (0xeb01_001f, vec![31]),     // cmp x0,x1
            (0xd503_201f, vec![31]),     // nop
        ] {
            assert_eq!(writes(word).collect::<Vec<_>>(), want, "{word:08x}");
        }
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
