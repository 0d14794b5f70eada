//! The ELF64 headers.
//!
//! | header | size | fields read |
//! |---|---|---|
//! | file | 64 | class @4, data @5, type @16, machine @18, phoff @32, shoff @40, phentsize @54, phnum @56, shentsize @58, shnum @60, shstrndx @62 |
//! | program | 56 | type @0, flags @4, offset @8, vaddr @16, filesz @32, memsz @40 |
//! | section | 64 | name @0, type @4, flags @8, addr @16, offset @24, size @32 |
//!
//! Program headers must be right, for the kernel needs them. Section headers are a help: wrong ones count as absent.

use crate::arch::Arch;
use crate::bytes;
use crate::error::{ErrorKind, Result, malformed};
use crate::foreign::Foreign;

const HEADER_SIZE: u64 = 64;
const PROGRAM_HEADER_SIZE: u16 = 56;
const SECTION_HEADER_SIZE: u16 = 64;
const MAX_SEGMENTS: usize = 256;
/// What a segment may repeat of its neighbour, which a linker lets share a page: the largest page, of arm64.
const PAGE: u64 = 64 << 10;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const ET_EXEC: u16 = 2;
const SHT_NOTE: u32 = 7;
const SHT_PROGBITS: u32 = 1;
const SHT_NOBITS: u32 = 8;
const SHF_EXECINSTR: u64 = 4;

/// A loadable segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub vaddr: u64,
    /// Its position in the file.
    pub file_offset: u64,
    /// How much of it the file holds.
    pub file_size: u64,
    /// How much of it the program has in memory: behind what the file holds lie zeros.
    pub memory_size: u64,
    /// `PF_X` 1, `PF_W` 2, `PF_R` 4.
    pub flags: u32,
}

impl Segment {
    pub(super) fn holds(&self, vaddr: u64) -> bool {
        vaddr.checked_sub(self.vaddr).is_some_and(|d| d < self.file_size)
    }
    /// Whether the program can write to it.
    pub fn is_writable(&self) -> bool {
        self.flags & 2 != 0
    }
    /// Whether it holds code.
    pub fn is_executable(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// First address; 0 when it is not loaded.
    pub vaddr: u64,
    /// Its position in the file.
    pub file_offset: u64,
    /// Size in bytes.
    pub size: u64,
}

impl Section<'_> {
    pub(super) fn is_nobits(&self) -> bool {
        self.kind == SHT_NOBITS
    }
    pub(super) fn is_note(&self) -> bool {
        self.kind == SHT_NOTE
    }
}

/// What the headers say.
pub(super) struct Headers<'a> {
    pub arch: Arch,
    pub segments: Vec<Segment>,
    pub sections: Vec<Section<'a>>,
    pub notes: Vec<(u64, u64)>,
    pub dynamic: Option<(u64, u64)>,
    /// At a fixed address, or with an interpreter: the kernel starts it.
    pub is_started: bool,
}

/// A range of the file.
pub(super) fn slice(file: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let end = usize::try_from(offset.checked_add(size)?).ok()?;
    file.get(usize::try_from(offset).ok()?..end)
}

pub(super) fn parse(file: &[u8]) -> Result<Headers<'_>> {
    let arch = identify(file)?;
    let mut headers = Headers {
        arch,
        segments: Vec::new(),
        sections: Vec::new(),
        notes: Vec::new(),
        dynamic: None,
        is_started: bytes::u16(file, 16) == Some(ET_EXEC),
    };
    program_headers(file, &mut headers)?;
    headers.sections = sections(file).unwrap_or_default();
    Ok(headers)
}

/// Fails as truncated when `what` does not lie inside the file.
fn within(file: &[u8], what: &'static str, offset: u64, need: u64) -> Result<()> {
    let have = file.len() as u64;
    match offset.checked_add(need) {
        Some(end) if end <= have => Ok(()),
        _ => Err(ErrorKind::Truncated { what, offset, need, have }),
    }
}

fn identify(file: &[u8]) -> Result<Arch> {
    if let Some(what) = Foreign::of(file) {
        return Err(ErrorKind::NotElf { what });
    }
    within(file, "the ELF header", 0, HEADER_SIZE)?;
    let (class, order) = (bytes::u8(file, 4).unwrap_or(0), bytes::u8(file, 5).unwrap_or(0));
    let half = |at| match order {
        2 => bytes::u16(file, at).map_or(0, u16::swap_bytes),
        _ => bytes::u16(file, at).unwrap_or(0),
    };
    let (e_type, machine) = (half(16), half(18));
    is_linked(e_type)?;
    let unsupported = |what: String| Err(ErrorKind::Unsupported { what });
    let name = machine_name(machine);
    match (class, order) {
        (2, 1) => match Arch::of_machine(machine) {
            Some(arch) => Ok(arch),
            None => unsupported(format!("a program for another machine ({name})")),
        },
        (1, 1 | 2) => unsupported(format!("a 32-bit program ({name})")),
        (2, 2) => unsupported(format!("a big-endian program ({name})")),
        _ => unsupported(format!("an ELF file of class {class} and byte order {order}, which do not exist")),
    }
}

/// Whether an ELF file has been linked to something that can be loaded.
fn is_linked(e_type: u16) -> Result<()> {
    let not = |what: &str| Err(ErrorKind::NotExecutable { what: what.to_owned() });
    match e_type {
        2 | 3 => Ok(()),
        1 => not("an object file"),
        4 => not("a core dump"),
        other => not(&format!("an ELF file of type {other}")),
    }
}

/// Names of the machines that people may have programs for; those that Go builds for as Go calls them.
fn machine_name(machine: u16) -> String {
    if let Some(arch) = Arch::of_machine(machine) {
        return arch.name().to_owned();
    }
    let name = match machine {
        2 | 18 | 43 => "SPARC",
        3 => "386",
        8 => "MIPS",
        20 => "PowerPC",
        21 => "ppc64",
        22 => "s390x",
        40 => "arm",
        50 => "Itanium",
        243 => "riscv64",
        247 => "BPF",
        258 => "loong64",
        other => return format!("ELF machine {other}"),
    };
    name.to_owned()
}

/// Whether the sections say that the file holds debug information and no code: what `objcopy --only-keep-debug` and `dwz -m`
/// write. Section headers can lie, so this only explains why nothing was found.
pub(crate) fn is_debug_file(file: &[u8]) -> bool {
    let sections = sections(file).unwrap_or_default();
    let has_code =
        sections.iter().any(|s| s.kind == SHT_PROGBITS && s.flags & SHF_EXECINSTR != 0 && s.size > 0);
    let is_debug = |name: &[u8]| name.starts_with(b".debug_") || name.starts_with(b".zdebug_");
    !has_code && sections.iter().any(|s| is_debug(s.name) && !s.is_nobits())
}

fn program_headers(file: &[u8], headers: &mut Headers<'_>) -> Result<()> {
    let offset = bytes::u64(file, 32).unwrap_or(0);
    let entry_size = bytes::u16(file, 54).unwrap_or(0);
    let count = bytes::u16(file, 56).unwrap_or(0);
    if count == 0 || entry_size != PROGRAM_HEADER_SIZE {
        let what = format!("an ELF file with {count} program headers of {entry_size} bytes");
        return Err(ErrorKind::NotExecutable { what });
    }
    let size = u64::from(count) * u64::from(entry_size);
    within(file, "the program header table", offset, size)?;
    let table = slice(file, offset, size).unwrap_or_default();
    for header in table.chunks_exact(usize::from(PROGRAM_HEADER_SIZE)) {
        program_header(file, header, headers)?;
    }
    if headers.segments.len() > MAX_SEGMENTS {
        let (count, limit) = (headers.segments.len() as u64, MAX_SEGMENTS as u64);
        return Err(ErrorKind::Budget { what: "loadable segments", count, limit });
    }
    no_overlap(file, &headers.segments)
}

/// Whoever goes through all segments goes through the file once: segments that repeat it make a small file cost as much as
/// a hundred times its size. No linker or packer writes such (none of 1,300 files of a distribution and of the corpus).
fn no_overlap(file: &[u8], segments: &[Segment]) -> Result<()> {
    let sum = segments.iter().fold(0u64, |sum, s| sum.saturating_add(s.file_size));
    let have = file.len() as u64;
    if sum <= have.saturating_add(PAGE.saturating_mul(segments.len() as u64)) {
        return Ok(());
    }
    let why =
        format!("the {} loadable segments map {sum} bytes of a file of {have}: they overlap", segments.len());
    let first = segments.first().map_or(0, |s| s.vaddr);
    Err(malformed("program header table", first, why))
}

fn program_header(file: &[u8], header: &[u8], headers: &mut Headers<'_>) -> Result<()> {
    let word = |at| bytes::u64(header, at).unwrap_or(0);
    let (offset, vaddr, file_size, memory_size) = (word(8), word(16), word(32), word(40));
    match bytes::u32(header, 0) {
        Some(PT_LOAD) if file_size != 0 => {
            within(file, "a loadable segment", offset, file_size)?;
            let flags = bytes::u32(header, 4).unwrap_or(0);
            headers.segments.push(Segment { vaddr, file_offset: offset, file_size, memory_size, flags });
        }
        Some(PT_DYNAMIC) => headers.dynamic = Some((offset, file_size)),
        Some(PT_INTERP) => headers.is_started = true,
        Some(PT_NOTE) if headers.notes.len() < MAX_SEGMENTS => headers.notes.push((offset, file_size)),
        _ => {}
    }
    Ok(())
}

fn sections(file: &[u8]) -> Option<Vec<Section<'_>>> {
    let offset = bytes::u64(file, 40)?;
    let (entry_size, count) = (bytes::u16(file, 58)?, bytes::u16(file, 60)?);
    if offset == 0 || count == 0 || entry_size != SECTION_HEADER_SIZE {
        return None;
    }
    let table = slice(file, offset, u64::from(count) * u64::from(entry_size))?;
    let headers: Vec<&[u8]> = table.chunks_exact(usize::from(SECTION_HEADER_SIZE)).collect();
    let names = headers.get(usize::from(bytes::u16(file, 62)?))?;
    let names = slice(file, bytes::u64(names, 24)?, bytes::u64(names, 32)?)?;
    headers.iter().map(|h| section(h, names)).collect()
}

fn section<'a>(header: &[u8], names: &'a [u8]) -> Option<Section<'a>> {
    Some(Section {
        name: bytes::until_nul(names, usize::try_from(bytes::u32(header, 0)?).ok()?, 256).unwrap_or_default(),
        kind: bytes::u32(header, 4)?,
        flags: bytes::u64(header, 8)?,
        vaddr: bytes::u64(header, 16)?,
        file_offset: bytes::u64(header, 24)?,
        size: bytes::u64(header, 32)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_file_is_not() {
        assert!(matches!(parse(b"#!/bin/sh"), Err(ErrorKind::NotElf { .. })));
        assert!(matches!(parse(b""), Err(ErrorKind::NotElf { .. })));
        assert!(matches!(parse(b"\x7fELF\x02\x01"), Err(ErrorKind::Truncated { .. })));
    }

    /// A file of `size` bytes with `count` segments that each map all of it.
    fn mapped(size: usize, count: u8) -> Vec<u8> {
        let mut file = vec![0u8; size];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[16], file[18], file[32], file[54], file[56]) = (2, 62, 64, 56, count);
        for header in file[64..].chunks_exact_mut(56).take(usize::from(count)) {
            header[0] = 1;
            header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
        }
        file
    }

    #[test]
    fn segments_may_share_pages_and_no_more() {
        assert!(parse(&mapped(1 << 20, 1)).is_ok());
        assert!(parse(&mapped(64 << 10, 250)).is_ok(), "a page each");
        let text = parse(&mapped(1 << 20, 2)).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(text.contains("2 loadable segments map 2097152 bytes of a file of 1048576"), "{text}");
    }

    /// An ELF header with that class, byte order, type and machine.
    fn header(class: u8, order: u8, e_type: u16, machine: u16) -> [u8; 64] {
        let mut file = [0u8; 64];
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        let half = |value: u16| if order == 2 { value.to_be_bytes() } else { value.to_le_bytes() };
        file[16..18].copy_from_slice(&half(e_type));
        file[18..20].copy_from_slice(&half(machine));
        file
    }

    #[test]
    fn calls_other_elf_files_what_people_call_them() {
        for (class, order, e_type, machine, what) in [
            (1, 1, 2, 3, "a 32-bit program (386): "),
            (1, 1, 3, 40, "a 32-bit program (arm): "),
            (2, 1, 2, 243, "a program for another machine (riscv64): "),
            (2, 1, 2, 999, "a program for another machine (ELF machine 999): "),
            (2, 2, 2, 22, "a big-endian program (s390x): "),
            (2, 1, 1, 62, "an object file, "),
            (2, 1, 4, 62, "a core dump, "),
            (1, 2, 4, 8, "a core dump, "),
            (2, 1, 2, 62, "an ELF file with 0 program headers of 0 bytes, "),
        ] {
            let text = parse(&header(class, order, e_type, machine))
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert!(text.starts_with(what), "{text}");
        }
    }
}
