//! The functions of pclntab.
//!
//! functab is `{u32 entryoff, u32 funcoff}` for each function and one more entryoff at the end. A `_func` record:
//!
//! | at | what |
//! |---|---|
//! | 0 | entryoff (garble scrambles it: functab's is used) |
//! | 4 | name, offset into funcnametab |
//! | 12 | the call of `runtime.deferreturn`, from the entry; 0 is none |
//! | 16, 20, 24 | pcsp, pcfile, pcln, offsets into pctab |
//! | 28, 32 | npcdata, first file of the compilation unit in cutab |
//! | 36 | start line, only since 1.20; from here on everything is 4 bytes earlier before |
//! | 40 | funcID; flag @41; nfuncdata @43 |
//! | 44 | npcdata offsets into pctab, then nfuncdata offsets from gofunc |
//!
//! A pc-value table starts with value -1 at the function's entry and is a run of (zigzag delta of the value, delta of the
//! pc in quanta), ended by a value delta of 0 that is not the first.
//!
//! Nothing is indexed: a question for some names reads each name once and each `_func` once.

use std::cmp::Ordering;
use std::collections::HashMap;

use offsets::names;

use super::moduledata::ModuleData;
use super::pclntab::Header;
use super::wanted::{Names, Offsets};
use crate::bytes;
use crate::error::{ErrorKind, Result, malformed};
use crate::image::Image;

/// Longest function name that is read; generic instantiations reach some thousands of bytes.
const MAX_NAME_BYTES: usize = 1 << 16;
/// Longest pc-value table that is decoded, in runs.
const MAX_RUNS: usize = 1 << 20;
/// Most places in the name table that have a wanted name. The linker writes each name once; a file that repeats a short one
/// costs its reader a hundred times its own size.
const MAX_NAME_PLACES: usize = 1 << 16;
const PCDATA_INL_TREE_INDEX: usize = 2;
const FUNCDATA_INL_TREE: usize = 3;
const FUNCDATA_ARG_INFO: usize = 5;
const FLAG_ASM: u8 = 4;

/// All functions of an image.
#[derive(Debug)]
pub struct Functions<'a> {
    image: &'a Image<'a>,
    pub(super) module: &'a ModuleData,
    pub(super) header: Header,
    names: &'a [u8],
    pctab: &'a [u8],
    /// From functab to the end of the segment: `_func` offsets count from here.
    functab: &'a [u8],
}

/// One function. Two are the same where their positions are: what they hold reaches to the end of a segment, and to compare that would
/// read the file.
#[derive(Debug, Clone, Copy)]
pub struct Function<'a> {
    /// Position in functab.
    pub index: u64,
    /// First instruction.
    pub vaddr: u64,
    /// To the next function, padding included.
    pub size: u64,
    /// Offset of its name in funcnametab.
    pub name_offset: u32,
    record: &'a [u8],
    /// Offset of the bytes behind the start line.
    late: usize,
}

/// A range of pcs with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Offset from the function's entry.
    pub start: u64,
    /// Exclusive.
    pub end: u64,
    /// The value.
    pub value: i64,
}

impl<'a> Functions<'a> {
    /// Opens the tables.
    pub fn open(image: &'a Image<'a>, header: Header, module: &'a ModuleData) -> Result<Self> {
        let part = |from: u64, to: u64, what: &str| {
            let range =
                to.checked_sub(from).and_then(|len| image.bytes(header.vaddr.checked_add(from)?, len));
            range.ok_or_else(|| {
                malformed("pclntab", header.vaddr, format!("{what} from {from:#x} to {to:#x}"))
            })
        };
        let [names, cutab, _, pctab, functab] = header.tables;
        Ok(Functions {
            image,
            module,
            header,
            names: part(names, cutab, "funcnametab")?,
            pctab: part(pctab, functab, "pctab")?,
            functab: image
                .tail(header.functab())
                .ok_or_else(|| malformed("pclntab", header.vaddr, format!("functab at {functab:#x}")))?,
        })
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.header.functions
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.header.functions == 0
    }

    /// The function at a position of functab.
    #[inline]
    pub fn get(&self, index: u64) -> Option<Function<'a>> {
        let at = usize::try_from(index.checked_mul(8)?).ok().filter(|_| index < self.header.functions)?;
        let start = u64::from(bytes::u32(self.functab, at)?);
        let record = bytes::u32(self.functab, at + 4)?;
        let end = u64::from(bytes::u32(self.functab, at + 8)?);
        let record = self.functab.get(usize::try_from(record).ok()?..)?;
        Some(Function {
            index,
            vaddr: self.module.text_vaddr(start),
            size: end.checked_sub(start)?,
            name_offset: bytes::u32(record, 4)?,
            record,
            late: self.header.form.func_id_at,
        })
    }

    /// All of them, in the order of their addresses; malformed ones are left out.
    pub fn iter(&self) -> impl Iterator<Item = Function<'a>> + '_ {
        (0..self.header.functions).filter_map(|i| self.get(i))
    }

    /// The function that begins at an address.
    pub fn beginning_at(&self, vaddr: u64) -> Option<Function<'a>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)?.vaddr.cmp(&vaddr) {
                Ordering::Equal => return self.get(middle),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// A name by its offset.
    pub fn name_at(&self, offset: u32) -> Option<&'a [u8]> {
        self.name_within(offset, MAX_NAME_BYTES)
    }

    /// The same, if it is no longer than that.
    pub(super) fn name_within(&self, offset: u32, longest: usize) -> Option<&'a [u8]> {
        bytes::until_nul(self.names, usize::try_from(offset).ok()?, longest.saturating_add(1))
    }

    /// A function's name as it is.
    pub fn name_bytes(&self, function: &Function<'_>) -> &'a [u8] {
        self.name_at(function.name_offset).unwrap_or_default()
    }

    /// A function's name.
    pub fn name(&self, function: &Function<'_>) -> String {
        String::from_utf8_lossy(self.name_bytes(function)).into_owned()
    }

    /// Offsets in funcnametab of these names; a function that was inlined everywhere still has its name there.
    pub fn name_offsets(&self, wanted: &Names<'_>) -> Result<Offsets> {
        let mut out = HashMap::new();
        let mut start = 0;
        // Hardly any name has one, so all are found in one go.
        let mut escapes = memchr::memchr_iter(b'%', self.names).peekable();
        for end in memchr::memchr_iter(0, self.names) {
            let name = self.names.get(start..end).unwrap_or_default();
            // The linker writes a dot in the last word of an import path as `%2e`, the catalog as it is.
            let mut has_escape = false;
            while escapes.next_if(|&escape| escape < end).is_some() {
                has_escape = true;
            }
            let plain = || has_escape.then(|| wanted.position(&names::plain(name))).flatten();
            if let Some(i) = wanted.position(name).or_else(plain)
                && let Ok(offset) = u32::try_from(start)
            {
                out.insert(offset, i);
                if out.len() > MAX_NAME_PLACES {
                    let (what, count) = ("places of wanted names in the name table", out.len() as u64);
                    return Err(ErrorKind::Budget { what, count, limit: MAX_NAME_PLACES as u64 });
                }
            }
            start = end + 1;
        }
        Ok(Offsets::new(out))
    }

    /// The pc-value table at an offset of pctab, as runs.
    pub fn runs(&self, function: &Function<'_>, table: u32) -> Vec<Run> {
        let mut out = Vec::new();
        self.each_run(function, table, |run| out.push(run));
        out
    }

    fn each_run(&self, function: &Function<'_>, table: u32, mut visit: impl FnMut(Run)) {
        let (mut value, mut pc, mut count) = (-1i64, 0u64, 0);
        let Some(mut at) = usize::try_from(table).ok().filter(|&t| t != 0) else { return };
        while let Some(delta) = bytes::uvarint(self.pctab, &mut at) {
            if (delta == 0 && pc != 0) || pc >= function.size || count >= MAX_RUNS {
                break;
            }
            value = value.wrapping_add(zigzag(delta));
            let Some(step) = bytes::uvarint(self.pctab, &mut at) else { break };
            let end = pc.saturating_add(step.saturating_mul(u64::from(self.header.quantum)));
            visit(Run { start: pc, end, value });
            count += 1;
            pc = end;
        }
    }

    /// The stack pointer's distance by pc.
    pub fn pcsp(&self, function: &Function<'_>) -> Vec<Run> {
        self.runs(function, bytes::u32(function.record, 16).unwrap_or(0))
    }

    /// File and line of the instruction at an offset from the function's entry.
    pub fn line(&self, function: &Function<'_>, offset: u64) -> Option<(String, i64)> {
        let value = |at| {
            let runs = self.runs(function, bytes::u32(function.record, at)?);
            runs.iter().find(|r| (r.start..r.end).contains(&offset)).map(|r| r.value)
        };
        let unit = u64::from(bytes::u32(function.record, 32)?);
        let slot = unit.checked_add(u64::try_from(value(20)?).ok()?)?.checked_mul(4)?;
        let [_, cutab, files, ..] = self.header.tables;
        let at = self.header.vaddr.checked_add(cutab)?.checked_add(slot)?;
        let name = bytes::u32(self.image.bytes(at, 4)?, 0).filter(|&o| o != u32::MAX)?;
        let at = self.header.vaddr.checked_add(files)?.checked_add(u64::from(name))?;
        let path = bytes::until_nul(self.image.tail(at)?, 0, MAX_NAME_BYTES)?;
        Some((String::from_utf8_lossy(path).into_owned(), value(24)?))
    }

    /// Where the function's inline tree is, and its index by pc.
    pub fn inline_tree(&self, function: &Function<'_>) -> Option<u64> {
        self.funcdata(function, FUNCDATA_INL_TREE)
    }

    /// Which entry of its inline tree each of the function's pcs belongs to; -1 is the function itself.
    pub fn inline_indexes(&self, function: &Function<'_>) -> Vec<Run> {
        self.runs(function, function.pcdata(PCDATA_INL_TREE_INDEX).unwrap_or(0))
    }

    /// How many entries its inline tree has.
    pub fn inline_tree_len(&self, function: &Function<'_>) -> u64 {
        self.measure_inline_tree(function).0
    }

    /// How many entries its inline tree has, and how many runs had to be read to know that.
    pub(super) fn measure_inline_tree(&self, function: &Function<'_>) -> (u64, u64) {
        let table = function.pcdata(PCDATA_INL_TREE_INDEX).unwrap_or(0);
        let (mut last, mut runs) = (-1, 0);
        self.each_run(function, table, |run| {
            last = run.value.max(last);
            runs += 1;
        });
        (u64::try_from(last.saturating_add(1)).unwrap_or(0), runs)
    }

    /// The argument words in the catalog's notation; absent without receiver and parameters.
    pub fn arg_shape(&self, function: &Function<'_>) -> Option<String> {
        super::arginfo::shape(self.image.tail(self.funcdata(function, FUNCDATA_ARG_INFO)?)?)
    }

    /// Where each of these words lies above the first one of its caller's frame; absent of a word too far to be recorded.
    pub fn arg_offsets(&self, function: &Function<'_>) -> Option<Vec<Option<u8>>> {
        super::arginfo::offsets(self.image.tail(self.funcdata(function, FUNCDATA_ARG_INFO)?)?)
    }

    fn funcdata(&self, function: &Function<'_>, index: usize) -> Option<u64> {
        let count = usize::from(bytes::u8(function.record, function.late + 3)?);
        let npcdata = usize::try_from(function.npcdata()?).ok()?;
        let at = npcdata.checked_add(index)?.checked_mul(4)?.checked_add(function.late + 4)?;
        let offset = bytes::u32(function.record, at).filter(|&o| index < count && o != u32::MAX)?;
        self.module.gofunc.checked_add(u64::from(offset))
    }
}

impl Function<'_> {
    fn npcdata(&self) -> Option<u32> {
        bytes::u32(self.record, 28)
    }

    fn pcdata(&self, index: usize) -> Option<u32> {
        (index < usize::try_from(self.npcdata()?).ok()?)
            .then(|| bytes::u32(self.record, self.late + 4 + 4 * index))?
    }

    /// The linker's or run time's mark of special functions; which of them is that of wrappers, its release says.
    pub fn func_id(&self) -> u8 {
        bytes::u8(self.record, self.late).unwrap_or(0)
    }

    /// Where it calls `runtime.deferreturn`, from its entry; 0 where it defers nothing.
    pub fn deferreturn(&self) -> u64 {
        u64::from(bytes::u32(self.record, 12).unwrap_or(0))
    }

    /// Whether it is written in assembly.
    pub fn is_asm(&self) -> bool {
        bytes::u8(self.record, self.late + 1).unwrap_or(0) & FLAG_ASM != 0
    }
}

fn zigzag(delta: u64) -> i64 {
    let magnitude = i64::try_from(delta >> 1).unwrap_or(i64::MAX);
    if delta & 1 == 1 { !magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigzag_is_go_s() {
        assert_eq!([0, 1, 2, 3, 4].map(zigzag), [0, -1, 1, -2, 2]);
    }
}
