//! The header of pclntab, the table of functions.
//!
//! | at | what |
//! |---|---|
//! | 0 | magic: `fffffffb` 1.2-1.15, `fffffffa` 1.16-1.17, `fffffff0` 1.18-1.19, `fffffff1` since 1.20 |
//! | 4, 5 | 0 |
//! | 6 | pc quantum: 1 on amd64, 4 on arm64 |
//! | 7 | pointer size |
//! | 8, 16, 24 | numbers of functions and files, text start (0 since 1.26) |
//! | 32, 40, 48, 56, 64 | offsets of funcnametab, cutab, filetab, pctab, functab |
//!
//! The magic alone occurs elsewhere too; the header counts only when its offsets are in order and inside the segment.

use super::release::Pclntab;
use crate::bytes;
use crate::image::{Image, Segment};

/// More functions than this no binary has (the largest seen, of 315 MB, has 600,000).
const MAX_FUNCTIONS: u64 = 1 << 23;
/// Tables that are looked at before the search ends.
const MAX_CANDIDATES: usize = 64;

/// A pclntab header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Where the table begins.
    pub vaddr: u64,
    /// 1 on amd64, 4 on arm64.
    pub quantum: u8,
    /// Its form, by its magic.
    pub form: &'static Pclntab,
    /// How many functions there are.
    pub functions: u64,
    /// Text start as the header has it, relocated; 0 since 1.26.
    pub text_start: u64,
    /// Offsets from `vaddr`: funcnametab, cutab, filetab, pctab, functab.
    pub tables: [u64; 5],
}

impl Header {
    /// Address of funcnametab.
    pub fn names(&self) -> u64 {
        self.vaddr.wrapping_add(self.tables[0])
    }
    /// Address of pctab.
    pub fn pctab(&self) -> u64 {
        self.vaddr.wrapping_add(self.tables[3])
    }
    /// Address of functab.
    pub fn functab(&self) -> u64 {
        self.vaddr.wrapping_add(self.tables[4])
    }
}

/// What a search came to.
#[derive(Debug, Default)]
pub struct Found {
    /// Well-formed headers, the likeliest first.
    pub headers: Vec<Header>,
    /// A table of Go 1.2-1.17 was seen.
    pub too_old: bool,
}

/// Finds the table by its section, else by looking through the segments.
pub fn locate(image: &Image<'_>) -> Found {
    let mut found = Found::default();
    for name in [".gopclntab", ".data.rel.ro.gopclntab"] {
        if let Some(section) = image.section(name) {
            examine(image, section.vaddr, &mut found);
        }
    }
    if found.headers.is_empty() {
        scan(image, &mut found);
    }
    found
}

/// Bytes 1-5 of every magic since 1.2: ff ff ff 00 00.
const MAGICS: u64 = 0x00_00_ff_ff_ff_00;
const MAGICS_MASK: u64 = 0xff_ff_ff_ff_ff_00;

/// Looks through all segments; the agent's planner asks for it when the section's table turns out to be another's.
pub fn scan(image: &Image<'_>, found: &mut Found) {
    let writable_last = |s: &&Segment| s.is_writable();
    let mut segments: Vec<&Segment> = image.segments.iter().collect();
    segments.sort_by_key(writable_last);
    for segment in segments {
        let tail = image.tail(segment.vaddr).unwrap_or_default();
        // 8-aligned in the address space, whatever the segment's own alignment.
        let skip = usize::try_from(segment.vaddr.wrapping_neg() % 8).unwrap_or(0);
        for (i, word) in tail.get(skip..).unwrap_or_default().chunks_exact(8).enumerate() {
            if bytes::u64(word, 0).is_some_and(|word| word & MAGICS_MASK == MAGICS) {
                let at = (i as u64).wrapping_mul(8).wrapping_add(skip as u64);
                examine(image, segment.vaddr.wrapping_add(at), found);
            }
        }
    }
}

fn examine(image: &Image<'_>, vaddr: u64, found: &mut Found) {
    let Some(tail) = image.tail(vaddr) else { return };
    match bytes::u32(tail, 0) {
        Some(0xffff_fffa | 0xffff_fffb)
            if bytes::u16(tail, 4) == Some(0) && bytes::u8(tail, 7) == Some(8) =>
        {
            found.too_old = true;
        }
        Some(magic) => {
            if let Some(form) = Pclntab::of_magic(magic)
                && let Some(header) = parse(image, vaddr, tail, form)
                && found.headers.len() < MAX_CANDIDATES
                && !found.headers.contains(&header)
            {
                found.headers.push(header);
            }
        }
        None => {}
    }
}

/// Tables that are well formed but for their magic, which obfuscators change: something else must confirm them.
pub fn disguised(image: &Image<'_>) -> Vec<(Header, u32)> {
    let quantum = image.arch.quantum();
    let mut out = Vec::new();
    for segment in &image.segments {
        let tail = image.tail(segment.vaddr).unwrap_or_default();
        let skip = usize::try_from(segment.vaddr.wrapping_neg() % 8).unwrap_or(0);
        for (i, word) in tail.get(skip..).unwrap_or_default().chunks_exact(8).enumerate() {
            if word.get(4..) != Some(&[0, 0, quantum, 8]) {
                continue;
            }
            let at = skip.saturating_add(i.saturating_mul(8));
            let vaddr = segment.vaddr.wrapping_add(at as u64);
            let tail = tail.get(at..).unwrap_or_default();
            let header = parse(image, vaddr, tail, Pclntab::disguised());
            out.extend(header.zip(bytes::u32(word, 0)));
            if out.len() >= MAX_CANDIDATES {
                return out;
            }
        }
    }
    out
}

fn parse(image: &Image<'_>, vaddr: u64, tail: &[u8], form: &'static Pclntab) -> Option<Header> {
    let quantum = bytes::u8(tail, 6)?;
    let functions = bytes::u64(tail, 8)?;
    let text_start = image.pointer(vaddr.checked_add(24)?)?;
    let mut tables = [0; 5];
    for (i, table) in tables.iter_mut().enumerate() {
        *table = bytes::u64(tail, 32 + 8 * i)?;
    }
    let well_formed = bytes::u16(tail, 4)? == 0
        && quantum == image.arch.quantum()
        && bytes::u8(tail, 7)? == 8
        && (1..MAX_FUNCTIONS).contains(&functions)
        && (72..=256).contains(&tables[0])
        && tables.is_sorted()
        && tables[4].checked_add(functions * 8 + 4)? <= tail.len() as u64;
    well_formed.then_some(Header { vaddr, quantum, form, functions, text_start, tables })
}
