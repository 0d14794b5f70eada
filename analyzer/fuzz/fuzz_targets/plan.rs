//! The whole way to a Plan, on a real binary (named by STROBE_FUZZ_BINARY) with words overwritten: each 11 bytes of the
//! input are a table, the number of a word in it, and the word's new value.
#![no_main]

use std::sync::LazyLock;

use analyzer::{GoImage, Options};
use libfuzzer_sys::fuzz_target;

struct Target {
    bytes: Vec<u8>,
    /// Where the tables begin in the file: headers, pclntab, functab, moduledata, types, type data's middle, itabs.
    tables: Vec<usize>,
}

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let path = std::env::var("STROBE_FUZZ_BINARY").expect("STROBE_FUZZ_BINARY names a Go binary");
    let bytes = std::fs::read(path).expect("STROBE_FUZZ_BINARY");
    let go = GoImage::parse(&bytes).expect("a Go binary");
    let (module, table) = (&go.module, &go.pclntab);
    let middle = module.types + (module.etypes - module.types) / 16 * 8;
    let vaddrs =
        [table.vaddr, table.functab(), table.pctab(), module.vaddr, module.types, middle, module.gofunc];
    let mut tables = vec![0];
    tables.extend(vaddrs.iter().filter_map(|&v| usize::try_from(go.image.file_offset(v)?).ok()));
    Target { tables, bytes: bytes.clone() }
});

fuzz_target!(|data: &[u8]| {
    thread_local!(static COPY: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(TARGET.bytes.clone()));
    COPY.with_borrow_mut(|copy| {
        let mut places = Vec::new();
        for patch in data.chunks_exact(11).take(8) {
            let index = usize::from(u16::from_le_bytes([patch[1], patch[2]]));
            let at = TARGET.tables[usize::from(patch[0]) % TARGET.tables.len()] + index * 4;
            if let Some(place) = copy.get_mut(at..at + 8) {
                place.copy_from_slice(&patch[3..]);
                places.push(at);
            }
        }
        let _ = analyzer::plan(copy, "fuzz", &Options::default());
        for at in places {
            copy[at..at + 8].copy_from_slice(&TARGET.bytes[at..at + 8]);
        }
    });
});
