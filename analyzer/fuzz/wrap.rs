//! What the fuzz targets share: bytes wrapped into a well-formed ELF file, so that they are read as what they should be.

use analyzer::go::moduledata::{ModuleData, Slice};
use analyzer::go::release::{RELEASES, Roots};

/// Where the wrapped bytes are in the address space.
pub const BASE: u64 = 0x10000;
const HEADERS: usize = 0x1000;

/// An executable of one writable segment at [`BASE`] that holds these bytes. The machine is AArch64 when `arm64`.
pub fn elf(data: &[u8], arm64: bool) -> Vec<u8> {
    let mut file = vec![0u8; HEADERS];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[16] = 2;
    file[18] = if arm64 { 183 } else { 62 };
    file[32] = 64; // e_phoff
    file[54] = 56; // e_phentsize
    file[56] = 1; // e_phnum
    let mut word = |at: usize, value: u64| file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    word(64, 6 << 32 | 1); // PT_LOAD, readable and writable
    word(72, HEADERS as u64);
    word(80, BASE);
    word(96, data.len() as u64);
    word(104, data.len() as u64);
    file.extend_from_slice(data);
    file
}

/// A moduledata whose type data are the wrapped bytes.
pub fn module(len: usize, linear: bool) -> ModuleData {
    let all = Slice { vaddr: BASE, len: len as u64 };
    let few = Slice { vaddr: BASE, len: len as u64 / 64 };
    let roots = match linear {
        true => Roots::Linear {
            typedesclen: all,
            itabs: Slice { vaddr: BASE + len as u64 / 2, len: len as u64 / 2 },
        },
        false => Roots::Links { types: few, itabs: few },
    };
    // The newest has the types one after another, the oldest has links to them.
    let release = if linear { RELEASES.last() } else { RELEASES.first() }.expect("releases");
    ModuleData {
        has_main: true,
        is_plugin: false,
        needs_others: false,
        vaddr: BASE,
        layout: release.layout,
        doubled_offsets: release.doubled_offsets,
        text: BASE,
        etext: BASE + len as u64,
        data: BASE,
        edata: BASE,
        types: BASE,
        etypes: BASE + len as u64,
        gofunc: BASE,
        roots,
        text_sections: Vec::new(),
    }
}
