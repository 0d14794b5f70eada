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

use super::{Code, Instruction, MAX_DISTANCE};
use crate::bytes;
use crate::go::functions::Run;
use crate::plan::Cost;

const WORD: usize = 4;
/// The check of a huge frame has 7 instructions; a large frame is made by 4 more.
const MAX_PROLOGUE: usize = 16;
const RET: u32 = 0xd65f_03c0;
const NOP: u32 = 0xd503_201f;
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
    let distance = |run: &&Run| (run.start..run.end).contains(&(offset as u64));
    let has_frame = || code.pcsp.iter().find(distance).is_some_and(|run| run.value > 0);
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

/// Stores, by pattern and mask: they read the register in their lowest field.
const STORES: [(u32, u32); 7] = [
    (0xf900_0000, 0xffc0_0000), // str, 8 bytes
    (0xb900_0000, 0xffc0_0000), // 4
    (0x7900_0000, 0xffc0_0000), // 2
    (0x3900_0000, 0xffc0_0000), // 1
    (0xf800_0000, 0xffe0_0c00), // stur
    (0xa900_0000, 0xffc0_0000), // stp
    (0xad00_0000, 0xffc0_0000), // stp of vectors
];
const LOAD_PAIR: (u32, u32) = (0xa940_0000, 0xffc0_0000);

/// Whether none of the first `results` registers is written.
fn keeps(word: u32, results: u32) -> bool {
    if word == NOP || STORES.iter().any(|&(pattern, mask)| word & mask == pattern) {
        return true;
    }
    let second = if word & LOAD_PAIR.1 == LOAD_PAIR.0 { word >> 10 & 0x1f } else { 31 };
    word & 0x1f >= results && second >= results
}

/// The first simulated instruction behind each `bl` of a target (offsets from the function's entry), the first `results`
/// registers of the callee's results unchanged, and reached by that call alone.
pub fn after_calls(code: &Code<'_>, targets: &[u64], results: usize) -> Option<Vec<Instruction>> {
    let results = u32::try_from(results.min(16)).unwrap_or(16);
    let mut out = Vec::new();
    let mut between = Vec::new();
    let mut waiting: Option<(u64, usize)> = None;
    for (offset, word) in words(code) {
        if let Some((end, distance)) = waiting {
            if cost(word) == Cost::Emulated {
                out.push(instruction(offset, word));
                between.push(end..=offset as u64);
                waiting = None;
            } else if distance >= MAX_DISTANCE || !keeps(word, results) {
                return None;
            } else {
                waiting = Some((end, distance + 1));
            }
        }
        let target = (offset as u64).wrapping_add_signed(distance(word));
        if word & 0xfc00_0000 == 0x9400_0000 && targets.contains(&target) {
            waiting = Some((offset as u64 + 4, 0));
        }
    }
    let jumped_into = |(offset, word): (usize, u32)| {
        let target = jump(word).map(|d| (offset as u64).wrapping_add_signed(d));
        target.is_some_and(|t| between.iter().any(|range| range.contains(&t)))
    };
    let sound = waiting.is_none() && !words(code).any(jumped_into);
    sound.then_some(out)
}

/// How far a branch jumps that is no call.
fn jump(word: u32) -> Option<i64> {
    let field = |bits: u32, shift: u32| (i64::from(word >> shift) << (64 - bits)) >> (62 - bits);
    if word & 0xfc00_0000 == 0x1400_0000 {
        return Some(distance(word));
    }
    let conditional = word & 0xff00_0010 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000;
    match conditional {
        true => Some(field(19, 5)),
        false => (word & 0x7e00_0000 == 0x3600_0000).then(|| field(14, 5)),
    }
}

/// How far a `b` or `bl` jumps.
fn distance(word: u32) -> i64 {
    (i64::from(word & 0x03ff_ffff) << 38) >> 36
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
    fn jumps_lead_where_the_manual_says() {
        assert_eq!(jump(0x5400_01c9), Some(0x38)); // b.ls +0x38
        assert_eq!(jump(0x54ff_ffe0), Some(-4)); // b.eq -4
        assert_eq!(jump(0xb400_0040), Some(8)); // cbz x0, +8
        assert_eq!(jump(0x3607_ffc0), Some(-8)); // tbz w0, #0, -8
        assert_eq!(jump(0x17ff_ffff), Some(-4)); // b -4
        assert_eq!(jump(0x9400_0001), None); // bl
    }

    #[test]
    fn what_stores_a_result_keeps_it() {
        assert!(keeps(0xf900_83e0, 3)); // str x0,[sp,#256]
        assert!(!keeps(0xf940_83e0, 3)); // ldr x0,[sp,#256]
        assert!(keeps(0xf940_83e3, 3)); // ldr x3
        assert!(!keeps(0xa940_07e5, 3)); // ldp x5,x1,[sp]
    }

    #[test]
    fn the_check_keeps_arguments() {
        for word in [0xf940_0b90, 0xeb30_63ff, 0xd102_03f1, 0xeb10_023f, 0x5400_01c9] {
            assert!(keeps_arguments(word), "{word:08x}");
        }
        assert!(!keeps_arguments(0xf940_0000)); // ldr x0,[x0]
    }
}
