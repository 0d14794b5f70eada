//! A function's code, as sites are made from it.

use super::site::{Cost, Site, When};
use crate::go::functions::{Function, Functions, Run};
use crate::image::Image;

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

    /// The stack pointer's distance from where it was at the function's entry, at an instruction.
    pub fn depth(&self, offset: usize) -> Option<i64> {
        let next = self.pcsp.partition_point(|run| run.end <= offset as u64);
        self.pcsp.get(next).map(|run| run.value)
    }

    /// An instruction as a site.
    pub fn site(&self, image: &Image<'_>, instruction: Instruction, when: When) -> Option<Site> {
        let vaddr = self.vaddr.checked_add(instruction.offset as u64)?;
        let end = instruction.offset.checked_add(instruction.len)?;
        let bytes = self.bytes.get(instruction.offset..end)?.to_vec();
        let file_offset = image.file_offset(vaddr)?;
        Some(Site { vaddr, file_offset, bytes, when, cost: instruction.cost, select_cases: None })
    }
}
