//! Real binaries, read by the analyzer and by Go's own packages (`corpus/oracle`): build information and the complete list
//! of functions must be equal, exactly. Prints what each file is and how the oracle read it.

mod database;
mod oracle;

use std::fs;

use analyzer::plan::{Plan, Verdict, VersionMatch};
use analyzer::{GoImage, Options};
use anyhow::{Context, Result, ensure};
use strobe_tests::corpus::{self, Entry, Fetched};

use oracle::{Oracle, Reading};

/// The libraries of HTTP.
const HTTP: [&str; 5] = [
    "net/http.server",
    "net/http.server.h2",
    "net/http.client",
    "golang.org/x/net/http2.server",
    "golang.org/x/net/http2.client",
];

/// What the set must hold, whatever the suites have moved on from.
#[derive(Debug, Default)]
struct Kinds {
    stripped: usize,
    arm64: usize,
    pie: usize,
    cgo: usize,
    go127: usize,
    above_150_mb: usize,
    without_build_info: usize,
}

impl Kinds {
    fn count(&mut self, reading: &Reading, size: u64) {
        let head = &reading.head;
        // Symbols make it easy: such a file counts for nothing else.
        if head.symbols {
            return;
        }
        let version = head.build.as_ref().map(|b| b.go_version.as_str()).unwrap_or_default();
        self.stripped += 1;
        self.arm64 += usize::from(head.arch == "EM_AARCH64");
        self.pie += usize::from(head.pie);
        self.cgo += usize::from(head.cgo);
        self.go127 += usize::from(version.starts_with("go1.27"));
        self.above_150_mb += usize::from(size > 150_000_000);
        self.without_build_info += usize::from(head.build.is_none());
    }

    fn are_enough(&self) -> bool {
        self.stripped >= 40
            && self.arm64 >= 10
            && self.pie >= 8
            && self.cgo >= 6
            && self.go127 >= 8
            && self.above_150_mb >= 1
            && self.without_build_info >= 1
    }
}

#[test]
fn functions_and_build_info_are_those_that_go_reads() -> Result<()> {
    let oracle = Oracle::build()?;
    let (mut kinds, mut wrong, mut gone) = (Kinds::default(), Vec::new(), 0);
    println!(
        "{:>7} {:<6} {:<10} {:<7} {:>9} {:<8} file: table; text",
        "MB", "arch", "Go", "kind", "functions", "server"
    );
    for (entry, fetched) in corpus::all()? {
        match fetched {
            Fetched::Gone(why) => {
                println!("  gone: {}: {why}", entry.name());
                gone += 1;
            }
            Fetched::File(path) => match hold_against(&oracle, &entry, &path) {
                Ok(reading) => kinds.count(&reading, entry.size),
                Err(error) => wrong.push(format!("{}: {error:#}", entry.name())),
            },
        }
    }
    println!("{kinds:?}; {} differ, {gone} gone", wrong.len());
    ensure!(wrong.is_empty(), "{} files differ:\n{}", wrong.len(), wrong.join("\n"));
    ensure!(kinds.are_enough(), "too few of a kind: {kinds:?}");
    Ok(())
}

fn hold_against(oracle: &Oracle, entry: &Entry, path: &std::path::Path) -> Result<Reading> {
    let want = oracle.read(path)?;
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let go = GoImage::parse(&bytes)?;
    let functions = go.functions()?;
    let mut got = functions.iter();
    for (i, line) in want.functions().enumerate() {
        let function = got.next().with_context(|| format!("only {i} functions, Go reads more"))?;
        let end = function.vaddr.wrapping_add(function.size);
        let name = functions.name_bytes(&function);
        let said = (function.vaddr, end, name);
        let expected = line?;
        ensure!(
            said == expected,
            "function {i} is {:x}-{:x} {}, Go reads {:x}-{:x} {}",
            said.0,
            said.1,
            String::from_utf8_lossy(said.2),
            expected.0,
            expected.1,
            String::from_utf8_lossy(expected.2)
        );
    }
    ensure!(got.next().is_none(), "more functions than Go reads");
    oracle::same_build(go.build.as_ref(), want.head.build.as_ref())?;
    let plan = analyzer::plan(&bytes, "corpus", &Options::default())?;
    http_is_ready(&plan)?;
    without_section_headers(bytes.clone())?;
    print(entry, &want, server(&plan));
    Ok(want)
}

/// The Plan is the same where nothing says what is where. DWARF needs its sections.
fn without_section_headers(mut bytes: Vec<u8>) -> Result<()> {
    let options = Options { dwarf: false, ..Options::default() };
    let with = analyzer::plan(&bytes, "corpus", &options)?;
    for range in [40..48, 58..64] {
        bytes.get_mut(range).context("an ELF header")?.fill(0); // e_shoff; e_shentsize, e_shnum, e_shstrndx
    }
    let without = analyzer::plan(&bytes, "corpus", &options).context("without section headers")?;
    ensure!(with == without, "without section headers the Plan is {without:?}, with them {with:?}");
    Ok(())
}

/// Who serves and calls over HTTP is traced whole, in programs of all the Go versions that the catalog covers.
fn http_is_ready(plan: &Plan) -> Result<()> {
    for library in plan.libraries.iter().filter(|library| HTTP.contains(&library.id.as_str())) {
        let is_covered = library.version_match != VersionMatch::Outside;
        let is_ready = library.verdict == Verdict::Ready;
        ensure!(is_ready || !is_covered, "{}: {:?}", library.id, library.reason);
    }
    Ok(())
}

/// What the Plan says of the net/http server.
fn server(plan: &Plan) -> &'static str {
    match plan.libraries.iter().find(|l| l.id == "net/http.server").map(|l| l.verdict) {
        None => "-",
        Some(Verdict::Ready) => "ready",
        Some(Verdict::Partial) => "partial",
        Some(Verdict::Refused) => "refused",
    }
}

fn print(entry: &Entry, reading: &Reading, server: &str) {
    let head = &reading.head;
    let arch = if head.arch == "EM_AARCH64" { "arm64" } else { "amd64" };
    let version = head.build.as_ref().map_or("no info", |b| b.go_version.as_str());
    let kind = [(head.pie, "pie"), (head.cgo, "cgo"), (head.symbols, "sym")];
    let kind: Vec<&str> = kind.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    println!(
        "{:>7.1} {arch:<6} {version:<10} {:<7} {:>9} {server:<8} {}: {}; {}",
        entry.size as f64 / 1e6,
        kind.join(" "),
        head.functions,
        entry.name(),
        head.pclntab,
        head.text
    );
}
