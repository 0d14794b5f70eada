//! The matrix: every minor release, architecture, build mode and way of stripping, each against its unstripped twin. What
//! is expected comes from the twin's symbol table, its DWARF and objdump, none of which the analyzer reads for it.
//!
//! By default the oldest and the newest release; `STROBE_MATRIX=full` (as `scripts/test --full` sets) takes all.

mod program;
mod reference;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use analyzer::go::types::closure;
use analyzer::plan::Plan;
use analyzer::sites::calls::{self, Callees, Question};
use analyzer::sites::{self, Code, Cost};
use analyzer::{GoImage, Options};
use anyhow::{Context, Result, ensure};
use offsets::catalog;
use strobe_tests::built::Recipe;
use strobe_tests::dwarf::{self, Layouts};
use strobe_tests::golang::PATCHES;

use reference::{Listing, Symbols};

fn types_alone() -> Options {
    Options { dwarf: false, database: false, ..Options::default() }
}

/// What came of one cell.
#[derive(Debug, Default)]
struct Cell {
    functions: (usize, usize),
    fields: (usize, usize),
    structs: (usize, usize),
    wrong_fields: usize,
    exits: (usize, usize),
    entries: (usize, usize),
    unsure: usize,
    after_read_request: bool,
    differences: Vec<String>,
}

impl Cell {
    fn differ(&mut self, what: String) {
        if self.differences.len() < 5 {
            self.differences.push(what);
        }
    }
    fn is_right(&self) -> bool {
        let all = |(good, of): (usize, usize)| good == of && of > 0;
        all(self.functions) && all(self.exits) && all(self.entries) && self.wrong_fields == 0
    }
}

fn versions() -> Vec<&'static str> {
    let full = std::env::var("STROBE_MATRIX").is_ok_and(|v| v == "full");
    let [oldest, .., newest] = PATCHES;
    if full { PATCHES.to_vec() } else { vec![oldest, newest] }
}

#[test]
fn every_build_equals_its_unstripped_twin() -> Result<()> {
    let mut wrong = Vec::new();
    let mut fields = (0, 0);
    println!(
        "| Go | arch | mode | build | functions | fields by types | recorded structs, their fields | wrong | entries | exits | not all found | after readRequest |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for version in versions() {
        for arch in ["amd64", "arm64"] {
            for mode in ["exe", "pie"] {
                let twin = build(version, arch, mode, &[])?;
                let reference = Reference::read(&twin, arch)?;
                let stripped = fs::read(build(version, arch, mode, &["-ldflags=-s -w"])?)?;
                let mut bare = stripped.clone();
                bare[40..48].fill(0); // e_shoff
                bare[58..64].fill(0); // e_shentsize, e_shnum, e_shstrndx
                for (name, bytes) in [("plain", fs::read(&twin)?), ("-s -w", stripped), ("no sections", bare)]
                {
                    let cell = compare(&bytes, &reference)
                        .with_context(|| format!("Go {version} {arch} {mode} {name}"))?;
                    print(version, arch, mode, name, &cell);
                    fields = (fields.0 + cell.fields.0, fields.1 + cell.fields.1);
                    if !cell.is_right() {
                        wrong.push(format!("Go {version} {arch} {mode} {name}: {:?}", cell.differences));
                    }
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
    let share = fields.0 as f64 / fields.1 as f64;
    println!("fields found by type data alone: {} of {} ({:.1} %)", fields.0, fields.1, share * 100.0);
    ensure!(share >= 0.98, "only {:.1} % of the fields", share * 100.0);
    Ok(())
}

fn build(version: &str, arch: &str, mode: &str, args: &[&str]) -> Result<std::path::PathBuf> {
    let files = &[("main.go", program::SOURCE)];
    Recipe { version, arch, mode, args, files, modules: program::modules(version) }.build()
}

fn print(version: &str, arch: &str, mode: &str, name: &str, cell: &Cell) {
    let of = |(good, all): (usize, usize)| format!("{good}/{all}");
    println!(
        "| {version} | {arch} | {mode} | {name} | {} | {} | {}, {} | {} | {} | {} | {} | {} |",
        of(cell.functions),
        of(cell.fields),
        cell.structs.0,
        cell.structs.1,
        cell.wrong_fields,
        of(cell.entries),
        of(cell.exits),
        cell.unsure,
        if cell.after_read_request { "yes" } else { "no" }
    );
}

/// What the twin says.
struct Reference {
    symbols: Symbols,
    listing: Listing,
    layouts: Layouts,
}

impl Reference {
    fn read(twin: &Path, arch: &str) -> Result<Self> {
        let symbols = Symbols::read(twin)?;
        Ok(Reference { listing: Listing::read(twin, arch)?, layouts: dwarf::layouts(twin)?, symbols })
    }
}

fn compare(bytes: &[u8], reference: &Reference) -> Result<Cell> {
    let mut cell = Cell::default();
    let go = GoImage::parse(bytes)?;
    let functions = go.functions()?;
    let mut by_name: HashMap<u64, String> = functions.iter().map(|f| (f.vaddr, functions.name(&f))).collect();
    for (vaddr, name) in reference.symbols.functions() {
        cell.functions.1 += 1;
        match by_name.remove(&vaddr) {
            Some(found) if same_name(&found, name) => cell.functions.0 += 1,
            found => cell.differ(format!("{name} at {vaddr:#x} is {found:?}")),
        }
    }
    let serve = functions.iter().find(|f| functions.name(f) == "net/http.(*conn).serve").context("serve")?;
    // (*response, error): three words. It is where a span can begin when a profile had the handler's entry inlined.
    let read = functions
        .iter()
        .find(|f| functions.name(f) == "net/http.(*conn).readRequest")
        .context("readRequest")?;
    let code = Code::read(&go.image, &functions, serve).context("the code of serve")?;
    let asked = Question {
        callees: Callees::Functions(&[read.vaddr]),
        by_name: &[],
        counts: &|_| true,
        is_compiled: &|vaddr| functions.beginning_at(vaddr).is_some_and(|f| !f.is_asm()),
        is_guard: &|_| false,
        results: 3,
        also_reached: false,
        stepped: false,
        repeats: false,
        cases: false,
    };
    cell.after_read_request = calls::after_calls(&go.image, &code, &asked).is_ok();
    for function in functions.iter() {
        if go.is_wrapper(&function) && functions.name(&function).is_empty() {
            continue;
        }
        let Some(code) = Code::read(&go.image, &functions, function) else { continue };
        hold_sites(&mut cell, &go, &code, function.is_asm(), reference, &functions.name(&function));
    }
    hold_structs(&mut cell, &go, reference)?;
    hold_fields(&mut cell, &analyzer::plan(bytes, "matrix", &types_alone())?, reference)?;
    Ok(cell)
}

/// pclntab writes type arguments as `[...]` up to 1.20, and the linker's symbols escape nothing that pclntab does.
fn same_name(found: &str, symbol: &str) -> bool {
    let head = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
    let plain = symbol.strip_suffix(".abi0").unwrap_or(symbol);
    // A middle dot is a plain one in the symbol table.
    let found = &found.replace('\u{b7}', ".");
    found == plain || (found.contains("[...]") && head(found) == head(plain)) || found == symbol
}

fn hold_sites(
    cell: &mut Cell,
    go: &GoImage<'_>,
    code: &Code<'_>,
    is_asm: bool,
    reference: &Reference,
    name: &str,
) {
    let end = code.vaddr + code.bytes.len() as u64;
    // Assembly may hold data, and ends as it likes.
    if is_asm {
        return;
    }
    let returns = reference.listing.returns(code.vaddr, end);
    match sites::exits(&go.image, code) {
        Some(exits) => {
            cell.exits.1 += 1;
            let found: Vec<u64> = exits.iter().map(|s| s.vaddr).collect();
            if found == returns {
                cell.exits.0 += 1;
            } else {
                cell.differ(format!("exits of {name}: {found:x?}, objdump {returns:x?}"));
            }
        }
        // Nothing is said: it has no return, or leaves by a jump as well.
        None if returns.is_empty() || reference.listing.leaves_by_jump(code.vaddr, end) => {}
        None => {
            cell.unsure += 1;
            cell.differ(format!("{name}: no exits, objdump {returns:x?}"));
        }
    }
    let expected = reference.listing.entry(code.vaddr, end, code.frame_end.is_some());
    let expected = expected.filter(|&at| !reference.listing.is_jumped_to(code.vaddr, end, at));
    let Some(entry) = sites::entry(&go.image, code) else { return };
    cell.entries.1 += 1;
    if expected == Some(entry.vaddr)
        && (entry.cost == Cost::Stepped || reference.listing.is_instruction(entry.vaddr))
    {
        cell.entries.0 += 1;
    } else {
        cell.differ(format!("entry of {name}: {:#x}, objdump {expected:x?}", entry.vaddr));
    }
}

/// Every field of the structs that the catalog has recorded, where the program made their types reachable.
fn hold_structs(cell: &mut Cell, go: &GoImage<'_>, reference: &Reference) -> Result<()> {
    let recorded: HashSet<&str> =
        catalog::entries().iter().flat_map(|e| &e.structs).map(String::as_str).collect();
    let types = go.types();
    for (name, vaddr) in closure::structs(&types)?.into_iter().filter(|(n, _)| recorded.contains(n.as_str()))
    {
        cell.structs.0 += 1;
        let found = types.get(vaddr).with_context(|| format!("the type of {name}"))?;
        for field in types.fields(&found) {
            let field_name = String::from_utf8_lossy(field.name);
            let Some(truth) = reference.layouts.get(&(name.clone(), field_name.to_string())) else {
                cell.differ(format!("{name}.{field_name}: not in the DWARF"));
                continue;
            };
            // All blank fields have one name.
            if field_name == "_" {
                continue;
            }
            cell.structs.1 += 1;
            if field.offset != *truth {
                cell.wrong_fields += 1;
                cell.differ(format!("{name}.{field_name}: {}, DWARF {truth}", field.offset));
            }
        }
    }
    ensure!(cell.structs.0 > 0, "no recorded struct in the type data");
    Ok(())
}

fn hold_fields(cell: &mut Cell, plan: &Plan, reference: &Reference) -> Result<()> {
    for entry in catalog::entries() {
        let Some(library) = plan.libraries.iter().find(|l| l.id == entry.id) else { continue };
        for field in &library.fields {
            let truth = reference.layouts.get(&(field.type_name.clone(), field.field.clone()));
            let Some(truth) = truth else { continue };
            cell.fields.1 += 1;
            match field.offset {
                Some(offset) if offset == *truth => cell.fields.0 += 1,
                Some(offset) => {
                    cell.wrong_fields += 1;
                    cell.differ(format!("{}.{}: {offset}, DWARF {truth}", field.type_name, field.field));
                }
                None => {}
            }
        }
    }
    ensure!(cell.fields.1 > 0, "no field of the catalog in the twin's DWARF");
    Ok(())
}
