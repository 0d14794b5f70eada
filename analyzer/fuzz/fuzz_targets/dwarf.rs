//! DWARF: the bytes are `.debug_abbrev` (with a 2-byte length before it) and `.debug_info`.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;

/// A relocatable-looking ELF file with the two sections.
fn elf(abbrev: &[u8], info: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.debug_abbrev\0.debug_info\0.shstrtab\0";
    let mut file = analyzer_fuzz::elf(&[], false);
    let mut sections = vec![[0u8; 64]];
    for (name, data) in [(1u32, abbrev), (15, info), (27, NAMES)] {
        let mut header = [0u8; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[4] = if name == 27 { 3 } else { 1 };
        header[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(data.len() as u64).to_le_bytes());
        file.extend_from_slice(data);
        sections.push(header);
    }
    let at = file.len() as u64;
    sections.iter().for_each(|s| file.extend_from_slice(s));
    file[40..48].copy_from_slice(&at.to_le_bytes());
    file[58..64].copy_from_slice(&[64, 0, 4, 0, 3, 0]);
    file
}

fuzz_target!(|data: &[u8]| {
    let Some((&len, rest)) = data.split_first_chunk::<2>() else { return };
    let len = usize::from(u16::from_le_bytes(len)).min(rest.len());
    let (abbrev, info) = rest.split_at(len);
    let wanted = HashSet::from(["net/http.Request", "a", ""]);
    let _ = analyzer::dwarf::structs(&elf(abbrev, info), &wanted);
});
