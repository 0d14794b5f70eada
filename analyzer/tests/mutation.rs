//! Every header and pointer word of a real binary overwritten: whatever stands there, the answer is a Plan or an error, in
//! bounded time. Deterministic: the same words and values on every run.

mod support;

use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use analyzer::go::types::{closure, itabs};
use analyzer::{GoImage, Options};
use rayon::prelude::*;
use support::{Build, SERVER, STRIPPED, build};
use tempfile::TempDir;

/// Far more than any single run takes, in a debug build on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

const SECTIONS: [&str; 11] = [
    ".go.buildinfo",
    ".note.go.buildid",
    ".note.gnu.build-id",
    ".typelink",
    ".itablink",
    ".dynamic",
    ".rela",
    ".rela.dyn",
    ".shstrtab",
    ".debug_info",
    ".debug_abbrev",
];

const PROBED: [&str; 2] = ["net/http.serverHandler.ServeHTTP", "net/http.(*response).finishRequest"];

/// File positions of the words to overwrite.
fn words(bytes: &[u8]) -> Vec<usize> {
    let go = GoImage::parse(bytes).expect("a Go binary");
    let position = |vaddr: u64| go.image.file_offset(vaddr).and_then(|at| usize::try_from(at).ok());
    let run = |start: usize, words: usize| (0..words).map(move |i| start + 8 * i);
    let mut out: Vec<usize> = run(0, 8).collect();
    let count = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
    out.extend(run(64, count * 7));
    out.extend(position(go.pclntab.vaddr).into_iter().flat_map(|at| run(at, 9)));
    out.extend(position(go.pclntab.functab()).into_iter().flat_map(|at| run(at, 4)));
    out.extend(position(go.module.vaddr).into_iter().flat_map(|at| run(at, 74)));
    // Section headers, and the head of each section that the analyzer looks into.
    let headers = u64::from_le_bytes(bytes[40..48].try_into().expect("e_shoff"));
    let count = usize::from(u16::from_le_bytes([bytes[60], bytes[61]]));
    out.extend(run(usize::try_from(headers).expect("a position"), count * 8));
    for name in SECTIONS {
        if let Some(section) = go.image.section(name) {
            let start = usize::try_from(section.file_offset).expect("a position");
            let len = usize::try_from(section.size).expect("a length");
            out.extend(run(start, len.div_ceil(8).min(16)));
        }
    }
    // The records of the functions that the Plan probes, up to the words of their funcdata.
    let functions = go.functions().expect("functions");
    for index in 0..functions.len() {
        let function = functions.get(index).expect("a function");
        if PROBED.contains(&functions.name(&function).as_str()) {
            let entry = go.pclntab.functab() + 8 * index;
            let record = go.image.word(entry).expect("a word of functab") >> 32;
            out.extend(position(entry).into_iter().flat_map(|at| run(at, 2)));
            out.extend(position(go.pclntab.functab() + record).into_iter().flat_map(|at| run(at, 10)));
        }
    }
    let types = go.types();
    let itab = itabs::all(&types).next().expect("an itab");
    out.extend(position(itab.vaddr).into_iter().flat_map(|at| run(at, 4)));
    let structs = closure::structs(&types).expect("types");
    let request = structs.iter().find(|(name, _)| name == "net/http.Request").expect("Request");
    out.extend(position(request.1).into_iter().flat_map(|at| run(at, 16)));
    out.extend(position(go.module.types).into_iter().flat_map(|at| run(at, 8)));
    out
}

/// Deterministic noise (splitmix64).
fn noise(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn try_all(bytes: &[u8]) -> (usize, usize, Duration) {
    let results: Vec<(bool, Duration)> = words(bytes)
        .into_par_iter()
        .map_init(
            || bytes.to_vec(),
            |copy, at| {
                let original: [u8; 8] = copy[at..at + 8].try_into().expect("a word");
                let word = u64::from_le_bytes(original);
                let values = [0, 1, u64::MAX, word ^ (1 << 31), word << 16, noise(at as u64)];
                let results = values.map(|value| {
                    copy[at..at + 8].copy_from_slice(&value.to_le_bytes());
                    let start = Instant::now();
                    let plan = || analyzer::plan(copy, "mutant", &Options::default()).is_ok();
                    let ok = panic::catch_unwind(AssertUnwindSafe(plan))
                        .unwrap_or_else(|_| panic!("panic with {value:#x} at {at:#x}"));
                    let took = start.elapsed();
                    assert!(took < LIMIT, "{took:?} with {value:#x} at {at:#x}");
                    (ok, took)
                });
                copy[at..at + 8].copy_from_slice(&original);
                results
            },
        )
        .flatten_iter()
        .collect();
    let plans = results.iter().filter(|(ok, _)| *ok).count();
    (results.len(), plans, results.iter().map(|r| r.1).max().unwrap_or_default())
}

#[test]
fn no_overwritten_word_makes_it_panic_or_hang() {
    let folder = TempDir::new().expect("a folder");
    let builds = [
        STRIPPED,
        Build { mode: "pie", ..STRIPPED },
        Build { arch: "arm64", ..STRIPPED },
        Build { ldflags: "", ..STRIPPED },
    ];
    for how in builds {
        let name =
            format!("{} {}{}", how.arch, how.mode, if how.ldflags.is_empty() { " with DWARF" } else { "" });
        let bytes = std::fs::read(build(&folder, &name, SERVER, how)).expect("the build");
        let (tried, plans, longest) = try_all(&bytes);
        // Not println: the counts are shown when the test passes, too.
        writeln!(
            std::io::stderr(),
            "{name}: {tried} mutants, {plans} Plans, {} errors, 0 panics, longest {longest:?}",
            tried - plans
        )
        .expect("stderr");
        assert!(tried > 800);
        assert!(plans > 0 && plans < tried);
    }
}

#[test]
fn every_truncation_ends_in_an_error() {
    let folder = TempDir::new().expect("a folder");
    let bytes = std::fs::read(build(&folder, "server", SERVER, STRIPPED)).expect("the build");
    for i in 0..64 {
        let len = bytes.len() * i / 80;
        assert!(analyzer::plan(&bytes[..len], "cut", &Options::default()).is_err(), "{len} bytes");
    }
}
