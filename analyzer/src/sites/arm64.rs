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

use super::{Code, Instruction};
use crate::bytes;
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
    check.or_else(|| words(code).next().map(|(offset, word)| instruction(offset, word)))
}

/// Every `ret`. A branch out of the function makes the answer incomplete, hence nothing.
pub fn exits(code: &Code<'_>) -> Option<Vec<Instruction>> {
    let mut out = Vec::new();
    for (offset, word) in words(code) {
        if word == RET {
            out.push(instruction(offset, word));
        }
        if word & 0xfc00_0000 == 0x1400_0000 && !stays(code, offset, word) {
            return None;
        }
    }
    Some(out)
}

/// Whether the target of a `b` lies in the function.
fn stays(code: &Code<'_>, offset: usize, word: u32) -> bool {
    let target = i64::try_from(offset).unwrap_or(0).checked_add(distance(word));
    target.and_then(|t| usize::try_from(t).ok()).is_some_and(|t| t < code.bytes.len())
}

/// Most instructions between a call and the site behind it.
const MAX_DISTANCE: usize = 4;

/// The first simulated instruction behind each `bl` of a target (offsets from the function's entry).
pub fn after_calls(code: &Code<'_>, targets: &[u64]) -> Option<Vec<Instruction>> {
    let mut out = Vec::new();
    let mut waiting = None;
    for (offset, word) in words(code) {
        if let Some(distance) = waiting {
            if cost(word) == Cost::Emulated {
                out.push(instruction(offset, word));
                waiting = None;
            } else if distance >= MAX_DISTANCE || !(keeps_arguments(word) || is_nop(word)) {
                return None;
            } else {
                waiting = Some(distance + 1);
            }
        }
        let target = (offset as u64).wrapping_add_signed(distance(word));
        if word & 0xfc00_0000 == 0x9400_0000 && targets.contains(&target) {
            waiting = Some(0);
        }
    }
    if waiting.is_some() { None } else { Some(out) }
}

fn is_nop(word: u32) -> bool {
    word == 0xd503_201f
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
    fn the_check_keeps_arguments() {
        for word in [0xf940_0b90, 0xeb30_63ff, 0xd102_03f1, 0xeb10_023f, 0x5400_01c9] {
            assert!(keeps_arguments(word), "{word:08x}");
        }
        assert!(!keeps_arguments(0xf940_0000)); // ldr x0,[x0]
    }
}
