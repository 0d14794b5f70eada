//! Images and code of a few bytes, for the tests of this folder.

use super::Code;
use crate::go::functions::Run;
use crate::image::Image;

/// Where the code begins in the file's address space: behind its headers, which are mapped at 0x1000.
pub const VADDR: u64 = 0x1000 + HEADERS as u64;
const HEADERS: usize = 120;
/// ELF's numbers of the two machines.
pub const AMD64: u8 = 62;
pub const ARM64: u8 = 183;

/// A file with one segment: its headers and these bytes.
pub fn file(machine: u8, bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0u8; HEADERS];
    file.extend(bytes);
    let size = file.len() as u64;
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (file[16], file[18], file[32], file[54], file[56], file[64]) = (2, machine, 64, 56, 1, 1);
    file[80..88].copy_from_slice(&0x1000u64.to_le_bytes());
    file[96..104].copy_from_slice(&size.to_le_bytes());
    file
}

/// Asks something of code in an image of its own. The frame is there from `framed`, exclusive of what follows its end.
pub fn ask<T>(
    machine: u8,
    bytes: &[u8],
    framed: Vec<Run>,
    question: impl FnOnce(&Image<'_>, &Code<'_>) -> T,
) -> T {
    let file = file(machine, bytes);
    let image = Image::parse(&file).expect("an image");
    question(&image, &Code { vaddr: VADDR, bytes, pcsp: framed, frame_end: None })
}

/// Words of AArch64 code as bytes.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
