//! An ELF file as the address space that it describes: segments, sections where there are any, and the words that
//! relocations will have written by the time the program runs.
//!
//! Addresses are `vaddr` (`p_vaddr`, no load bias) throughout. Not here: anything of Go.

mod elf;
mod places;
mod relocations;

pub(crate) use elf::is_debug_file;
pub use elf::{Section, Segment};
use places::Places;
use relocations::Relocations;

use crate::arch::Arch;
use crate::bytes;
use crate::error::Result;
pub use crate::foreign::Foreign;

/// Header, name and 20 bytes of SHA-1.
const GNU_BUILD_ID_NOTE_BYTES: u64 = 12 + 4 + 20;
/// Note sections that are looked at; real binaries have five.
const MAX_NOTE_SECTIONS: usize = 64;

/// A file and its address space.
#[derive(Debug)]
pub struct Image<'a> {
    /// The whole file.
    pub file: &'a [u8],
    /// The machine it is for.
    pub arch: Arch,
    /// The loadable segments, in the order of the file.
    pub segments: Vec<Segment>,
    /// The sections; none when the headers were removed or make no sense.
    pub sections: Vec<Section<'a>>,
    /// Whether it is a program, which the kernel starts, rather than a library, which a program loads.
    pub is_program: bool,
    places: Places,
    notes: Vec<(u64, u64)>,
    relocations: Relocations<'a>,
}

impl<'a> Image<'a> {
    /// Reads the headers and finds the relocations.
    pub fn parse(file: &'a [u8]) -> Result<Self> {
        let headers = elf::parse(file)?;
        let mut image = Image {
            file,
            arch: headers.arch,
            places: Places::of(&headers.segments),
            segments: headers.segments,
            sections: headers.sections,
            is_program: headers.is_started,
            notes: headers.notes,
            relocations: Relocations::default(),
        };
        if let Some((offset, size)) = headers.dynamic {
            let table = elf::slice(file, offset, size).unwrap_or_default();
            image.relocations = Relocations::from_dynamic(table, image.arch, |at, len| image.bytes(at, len))?;
            image.is_program |= is_position_independent_program(table);
        }
        Ok(image)
    }

    /// From `vaddr` to the end of what the file holds of its segment.
    pub fn tail(&self, vaddr: u64) -> Option<&'a [u8]> {
        self.tail_in(self.places.segment(vaddr)?, vaddr)
    }

    /// The same, and how many bytes from there on no other segment can lay a claim to: of any of these, the tail is a tail of this.
    pub(crate) fn window(&self, vaddr: u64) -> Option<(&'a [u8], u64)> {
        let (segment, end) = self.places.piece(vaddr)?;
        Some((self.tail_in(segment, vaddr)?, end - vaddr))
    }

    fn tail_in(&self, segment: &Segment, vaddr: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(segment.file_offset.checked_add(vaddr - segment.vaddr)?).ok()?;
        let end = usize::try_from(segment.file_offset.checked_add(segment.file_size)?).ok()?;
        self.file.get(start..end)
    }

    /// `len` bytes at `vaddr`.
    pub fn bytes(&self, vaddr: u64, len: u64) -> Option<&'a [u8]> {
        self.tail(vaddr)?.get(..usize::try_from(len).ok()?)
    }

    /// The word at `vaddr` as the file has it.
    pub fn word(&self, vaddr: u64) -> Option<u64> {
        bytes::u64(self.tail(vaddr)?, 0)
    }

    /// The word at `vaddr` after relocation. What stands in the file may be zero, or garbage that looks like an
    /// address (GNU ld and gold on arm64): only a RELA's addend counts where there is one.
    pub fn pointer(&self, vaddr: u64) -> Option<u64> {
        self.relocated_word(vaddr).or_else(|| self.word(vaddr))
    }

    /// The word that relocation writes at `vaddr`, if it writes one.
    pub(crate) fn relocated_word(&self, vaddr: u64) -> Option<u64> {
        self.relocations.value_at(vaddr)
    }

    /// The words that relocation writes: address and value.
    pub(crate) fn relocated(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.relocations.iter()
    }

    /// Whether the program can write to `vaddr`, whether the file holds it or it begins as zero.
    pub(crate) fn is_writable(&self, vaddr: u64) -> bool {
        let is_its = |segment: &&Segment| {
            let memory = segment.memory_size.max(segment.file_size);
            vaddr.checked_sub(segment.vaddr).is_some_and(|distance| distance < memory)
        };
        let mut holders = self.segments.iter().filter(is_its).peekable();
        holders.peek().is_some() && holders.all(Segment::is_writable)
    }

    /// Where in the file `vaddr` is.
    pub fn file_offset(&self, vaddr: u64) -> Option<u64> {
        let segment = self.places.segment(vaddr)?;
        segment.file_offset.checked_add(vaddr - segment.vaddr)
    }

    /// A section by its name.
    pub fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|s| s.name == name.as_bytes())
    }

    /// What the file holds of a section.
    pub fn section_bytes(&self, section: &Section<'a>) -> Option<&'a [u8]> {
        if section.is_nobits() { None } else { elf::slice(self.file, section.file_offset, section.size) }
    }

    /// Contents of the PT_NOTE segments, then those of the sections. Go's linker puts GNU's build id (since 1.24) just behind
    /// its PT_NOTE segment, which ends too early: so that one note more is looked at, section headers or not.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let segments = self.notes.iter().filter_map(|&(offset, size)| {
            let longer = elf::slice(self.file, offset, size.saturating_add(GNU_BUILD_ID_NOTE_BYTES));
            longer.or_else(|| elf::slice(self.file, offset, size))
        });
        let sections = self.sections.iter().filter(|s| s.is_note()).take(MAX_NOTE_SECTIONS);
        segments.chain(sections.filter_map(|s| self.section_bytes(s)))
    }
}

/// A static PIE has no interpreter; what tells it from a library is `DF_1_PIE`.
fn is_position_independent_program(dynamic: &[u8]) -> bool {
    const DT_FLAGS_1: u64 = 0x6fff_fffb;
    const DF_1_PIE: u64 = 0x0800_0000;
    let mut entries = dynamic.chunks_exact(16);
    entries.any(|e| {
        bytes::u64(e, 0) == Some(DT_FLAGS_1) && bytes::u64(e, 8).is_some_and(|flags| flags & DF_1_PIE != 0)
    })
}
