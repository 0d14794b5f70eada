//! Every way in which a Go program is built: for each a binary that really is of that kind, which the test establishes
//! before it asks the analyzer. What is expected comes from the symbol table of the same link, from a normal build of the
//! same program, or from what was written down here; never from the analyzer.

mod callers;
mod debug;
mod linked;
mod loaded;
mod mangled;
mod sites;
mod spelled;
mod switches;
mod versions;
mod vocabulary;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use analyzer::plan::{Field, Library, Plan, Verdict, Witness};
use analyzer::{GoImage, Options};
use anyhow::{Context, Result, ensure};
use object::elf::{ProgramType, SectionType};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object::{LittleEndian, Object as _, ObjectSymbol as _};
use strobe_tests::built::{Recipe, SERVER};
use strobe_tests::golang::go;
use strobe_tests::{machine, programs};

const NEW: &str = go(26);
const NEWEST: &str = go(27);
const ID: &str = "net/http.server";
const MAIN: (&str, &str) = ("main.go", SERVER);
/// As `go build` links where there is a C compiler, without DWARF. All builds of one release that are not PIE share their
/// standard library so.
const PLAIN: &str = "-ldflags=-w -linkmode=internal";
/// The same with DWARF.
const WHOLE: &str = "-ldflags=-linkmode=internal";
/// What type data alone says: neither DWARF nor database is asked.
fn types_alone() -> Options {
    Options { dwarf: false, database: false, ..Options::default() }
}
/// A server that calls C, so that `net` and `os/user` do too.
const CGO: (&str, &str) = (
    "main.go",
    r#"package main

// static int one(void) { return 1; }
import "C"
import "net/http"

func main() {
	status := 203 + int(C.one())
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
	panic(http.ListenAndServe("127.0.0.1:0", nil))
}
"#,
);

/// Builds one after another: `go build` uses all processors, and two at once would compile the same packages twice.
fn build(recipe: &Recipe<'_>) -> Result<PathBuf> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    recipe.build()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("read {}", file.display()))
}

fn elf(bytes: &[u8]) -> Result<ElfFile64<'_, LittleEndian>> {
    Ok(ElfFile64::parse(bytes)?)
}

fn has_section_type(bytes: &[u8], wanted: SectionType) -> Result<bool> {
    let elf = elf(bytes)?;
    Ok(elf.elf_section_table().iter().any(|s| s.sh_type(LittleEndian) == wanted))
}

fn has_section(bytes: &[u8], name: &str) -> Result<bool> {
    Ok(elf(bytes)?.section_by_name(name).is_some())
}

fn has_segment_type(bytes: &[u8], wanted: ProgramType) -> Result<bool> {
    Ok(elf(bytes)?.elf_program_headers().iter().any(|p| p.p_type(LittleEndian) == wanted))
}

fn is_fixed(bytes: &[u8]) -> Result<bool> {
    Ok(elf(bytes)?.elf_header().e_type(LittleEndian) == object::elf::ET_EXEC)
}

/// Runs `objcopy` on bytes.
fn objcopy(options: &[&str], bytes: &[u8]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::write(&from, bytes)?;
    machine::run(Command::new("objcopy").args(options).args([&from, &to]))?;
    read(&to)
}

/// Without symbols and DWARF, as `strip` leaves it.
fn stripped(bytes: &[u8]) -> Result<Vec<u8>> {
    let out = objcopy(&["--strip-all"], bytes)?;
    ensure!(elf(&out)?.symbols().next().is_none(), "symbols are left");
    Ok(out)
}

/// Without section headers: their place, size and number in the ELF header are 0, and the table is.
fn bare(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = stripped(bytes)?;
    let at = usize::try_from(u64::from_le_bytes(out[40..48].try_into()?))?;
    let count = usize::from(u16::from_le_bytes([out[60], out[61]]));
    ensure!(at != 0 && count != 0, "no section headers to remove");
    out[at..at + count * 64].fill(0);
    out[40..48].fill(0);
    out[58..64].fill(0);
    Ok(out)
}

/// What a build is held against: the functions by its symbol table, the offsets by a normal build of the same program.
struct Expected {
    symbols: HashMap<String, BTreeSet<u64>>,
    fields: Vec<Field>,
    names: Vec<String>,
}

impl Expected {
    /// From a link with symbols, and a normal build.
    fn of(linked: &[u8], normal: &[u8]) -> Result<Self> {
        let mut symbols: HashMap<String, BTreeSet<u64>> = HashMap::new();
        for symbol in elf(linked)?.symbols().filter(|s| s.size() > 0) {
            let name = symbol.name()?.trim_end_matches(".abi0").to_owned();
            symbols.entry(name).or_default().insert(symbol.address());
        }
        ensure!(symbols.len() > 5000, "only {} symbols", symbols.len());
        let fields = server(&plan(normal, &types_alone())?)?.fields.clone();
        ensure!(fields.len() > 10 && fields.iter().all(|f| f.offset.is_some()), "{fields:?}");
        Ok(Expected { symbols, fields, names: names(normal)? })
    }

    /// Every function has its name and its address, and every field its offset, in this build.
    fn hold(&self, what: &str, bytes: &[u8]) -> Result<()> {
        self.check(bytes).with_context(|| what.to_owned())?;
        println!("{what}: {} functions, {} fields", self.names.len(), self.fields.len());
        Ok(())
    }

    fn check(&self, bytes: &[u8]) -> Result<()> {
        let go = GoImage::parse(bytes)?;
        let functions = go.functions()?;
        let (mut total, mut known) = (0, 0);
        for function in functions.iter() {
            let name = functions.name(&function);
            total += 1;
            if let Some(at) = self.symbols.get(&name) {
                ensure!(at.contains(&function.vaddr), "{name} is at {at:x?}, not {:#x}", function.vaddr);
                known += 1;
            }
        }
        ensure!(known * 100 > total * 99, "of {total} functions the symbol table has {known}");
        ensure!(names(bytes)? == self.names, "other functions than in the normal build");
        let by_types = plan(bytes, &types_alone())?;
        ensure!(server(&by_types)?.fields == self.fields, "{:?}", server(&by_types)?.fields);
        is_ready(&by_types)?;
        let all = plan(bytes, &Options::default())?;
        is_ready(&all)?;
        for function in &server(&all)?.functions {
            ensure!(self.symbols.get(&function.name).is_some_and(|at| at.contains(&function.vaddr)));
            for site in &function.sites {
                let inside = function.vaddr..function.vaddr + function.size;
                ensure!(inside.contains(&site.vaddr), "{}: a site at {:#x}", function.name, site.vaddr);
            }
        }
        Ok(())
    }
}

/// The names of all functions, sorted, each as often as it occurs.
fn names(bytes: &[u8]) -> Result<Vec<String>> {
    let go = GoImage::parse(bytes)?;
    let functions = go.functions()?;
    let mut names: Vec<String> = functions.iter().map(|f| functions.name(&f)).collect();
    names.sort_unstable();
    Ok(names)
}

fn plan(bytes: &[u8], options: &Options) -> Result<Plan> {
    Ok(analyzer::plan(bytes, "a build", options)?)
}

fn server(plan: &Plan) -> Result<&Library> {
    library(plan, ID)
}

fn library<'a>(plan: &'a Plan, id: &str) -> Result<&'a Library> {
    plan.libraries.iter().find(|l| l.id == id).with_context(|| format!("no {id} in the Plan"))
}

fn is_ready(plan: &Plan) -> Result<()> {
    let library = server(plan)?;
    ensure!(library.verdict == Verdict::Ready, "{:?}: {:?}", library.verdict, library.reason);
    Ok(())
}

/// Whether every field of the server has this witness, or none has it.
fn witnessed(plan: &Plan, witness: Witness) -> Result<bool> {
    let fields = &server(plan)?.fields;
    let count = fields.iter().filter(|f| f.witnesses.contains(&witness)).count();
    ensure!(count == 0 || count == fields.len(), "{witness:?} vouches for {count} of {}", fields.len());
    Ok(count > 0)
}

/// `analyze`'s status and all that it printed, in one line.
fn analyze(args: &[&str], file: &Path) -> Result<(i32, String)> {
    let out = Command::new(programs::path("analyze")?).args(args).arg(file).output()?;
    let text = [out.stdout, out.stderr].concat();
    let line = String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    Ok((out.status.code().context("analyze was killed")?, line))
}
