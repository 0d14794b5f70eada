//! Roles and values of the catalog's libraries in real programs: each is built twice, the stripped one is planned, and every
//! parameter and result is held against the DWARF of its unstripped twin.
//!
//! By default the oldest and the newest set of versions; `STROBE_MATRIX=full` (as `scripts/test --full` sets) takes all.

mod program;
mod signatures;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use analyzer::plan::{Library, Word};
use anyhow::{Context, Result, ensure};
use object::{Object as _, ObjectSymbol as _};
use offsets::Version;
use offsets::catalog::{self, At, Entry};
use strobe_tests::built::Recipe;

use program::{ALL, Program, SOURCE};
use signatures::Signature;

/// The libraries that have roles.
const LIBRARIES: [&str; 11] = [
    "net/http.server",
    "net/http.server.h2",
    "golang.org/x/net/http2.server",
    "net/http.client",
    "database/sql",
    "google.golang.org/grpc.server",
    "google.golang.org/grpc.client",
    "golang.org/x/net/http2.client",
    "github.com/segmentio/kafka-go",
    "go.opentelemetry.io/auto/sdk",
    OTEL_TRACE,
];
const OTEL_TRACE: &str = "go.opentelemetry.io/otel/trace";
/// The variables that the catalog asks for, all of this name.
const VARIABLE: &str = "autoInstEnabled";

/// Roles that no site is known for yet: library and role. One that is found all the same is an error, so that it goes.
const OWED: [(&str, &str); 0] = [];

/// Parameters that a function does not use: of these Go 1.27 names the room where they could be spilled, in which nothing is.
const UNUSED: [(&str, &str, &str); 3] = [
    ("go.opentelemetry.io/auto/sdk", "end", "span"),
    (OTEL_TRACE, "start", "tracer"),
    (OTEL_TRACE, "end", "span"),
];

/// What was compared.
#[derive(Debug, Default)]
struct Tally {
    roles: usize,
    params: usize,
    results: usize,
    /// The compiler left no location, or the result lies on the stack.
    silent: usize,
}

#[test]
fn every_role_is_found_and_every_value_is_where_the_dwarf_says() -> Result<()> {
    let full = std::env::var("STROBE_MATRIX").is_ok_and(|v| v == "full");
    let [oldest, .., newest] = ALL;
    let programs = if full { ALL.to_vec() } else { vec![oldest, newest] };
    let (mut wrong, mut owed) = (Vec::new(), BTreeSet::new());
    println!(
        "| Go | gRPC | arch | roles | parameters | results | without a location |\n|---|---|---|---|---|---|---|"
    );
    for program in programs {
        for arch in ["amd64", "arm64"] {
            let what = format!("Go {} gRPC {} {arch}", program.go, program.modules[0].1);
            let mut tally = Tally::default();
            for difference in compare(program, arch, &mut tally, &mut owed)? {
                wrong.push(format!("{what}: {difference}"));
            }
            println!(
                "| {} | {} | {arch} | {} | {} | {} | {} |",
                program.go, program.modules[0].1, tally.roles, tally.params, tally.results, tally.silent
            );
            ensure!(tally.params > 40 && tally.results > 10, "{what}: {tally:?}");
        }
    }
    println!("owed: {owed:?}");
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

fn build(program: Program, arch: &str, args: &[&str]) -> Result<std::path::PathBuf> {
    let files = &[("main.go", SOURCE)];
    Recipe { version: program.go, arch, mode: "exe", args, files, modules: program.modules }.build()
}

fn compare(
    program: Program,
    arch: &str,
    tally: &mut Tally,
    owed: &mut BTreeSet<String>,
) -> Result<Vec<String>> {
    let twin = build(program, arch, &[])?;
    let stripped = fs::read(build(program, arch, &["-ldflags=-s -w"])?)?;
    let plan = analyzer::plan(&stripped, "stripped", &analyzer::Options::default())?;
    let subjects: HashSet<String> =
        catalog::entries().iter().flat_map(|entry| entry.functions()).map(str::to_owned).collect();
    let signatures = signatures::read(&twin, arch, &subjects)?;
    let mut wrong = Vec::new();
    for id in LIBRARIES {
        let Some(library) = plan.libraries.iter().find(|library| library.id == id) else {
            // There x/net's server and client are wrappers around net/http's.
            let is_wrapped = id.starts_with("golang.org/x/net/http2.") && program.go.starts_with("1.27");
            // It has no Auto SDK of its own up to v1.35.
            let is_older = id == OTEL_TRACE && program.modules.contains(&(OTEL_TRACE, "v1.34.0"));
            if !is_wrapped && !is_older {
                wrong.push(format!("{id} is not in the Plan"));
            }
            continue;
        };
        let entry = entry(library)?;
        roles(entry, library, tally, owed, &mut wrong);
        values(entry, library, &signatures, tally, &mut wrong);
        wrong.extend(variables(entry, library, &twin)?);
        let unknown = library.types.iter().filter(|t| t.vaddr.is_none()).map(|t| &t.type_name);
        let unknown = unknown.chain(library.sizes.iter().filter(|s| s.size.is_none()).map(|s| &s.type_name));
        wrong.extend(unknown.map(|name| format!("{id}: nobody knows {name}")));
    }
    Ok(wrong)
}

/// The library's entry: of those with the same id the one that covers its version.
fn entry(library: &Library) -> Result<&'static Entry> {
    let version = library.version.as_deref().and_then(|text| Version::parse(&library.module, text));
    let version = version.with_context(|| format!("{}: a version", library.id))?;
    let mut all = catalog::entries().iter().filter(|entry| entry.id == library.id);
    all.find(|entry| entry.versions.contains(&version)).with_context(|| format!("{}: an entry", library.id))
}

/// Each role has a function, unless it is owed.
fn roles(
    entry: &Entry,
    library: &Library,
    tally: &mut Tally,
    owed: &mut BTreeSet<String>,
    wrong: &mut Vec<String>,
) {
    for role in entry.roles.iter().filter(|role| role.variable.is_none()) {
        let found = library.functions.iter().any(|function| function.role == role.name);
        let is_owed = OWED.contains(&(entry.id.as_str(), role.name.as_str()));
        // What is called through interfaces alone may have been left out by the linker: then there is no finding about it.
        let about: Vec<&str> = library
            .findings
            .iter()
            .filter(|finding| finding.message.contains(&format!("role {} ", role.name)))
            .map(|finding| finding.message.as_str())
            .collect();
        match (found, is_owed) {
            (true, true) => wrong.push(format!("{} {} is found: OWED can go", entry.id, role.name)),
            (true, false) => tally.roles += 1,
            (false, true) => drop(owed.insert(format!("{} {}", entry.id, role.name))),
            (false, false) if role.if_present && about.is_empty() => {}
            // No profile guided these programs: nothing was copied that has a role of its own where it was.
            (false, false) if role.instead_of.is_some() && about.is_empty() => {}
            (false, false) => wrong.push(format!("{} {}: {about:?}", entry.id, role.name)),
        }
    }
}

/// Each variable is where the linker's symbols have it.
fn variables(entry: &Entry, library: &Library, twin: &Path) -> Result<Vec<String>> {
    let wanted = entry.roles.iter().filter(|role| role.variable.is_some()).count();
    let bytes = fs::read(twin)?;
    let file = object::File::parse(bytes.as_slice())?;
    let mut wrong = Vec::new();
    for variable in &library.variables {
        let (package, _) = variable.function.rsplit_once('/').context("a package")?;
        let last = variable.function.rsplit('/').next().and_then(|name| name.split('.').next());
        let name = format!("{package}/{}.{VARIABLE}", last.unwrap_or_default());
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name.as_str()));
        if symbol.as_ref().map(|symbol| symbol.address()) != Some(variable.vaddr) {
            wrong.push(format!("{}: {name} is {symbol:?}, the Plan has {variable:?}", entry.id));
        }
    }
    if library.variables.len() != wanted {
        wrong.push(format!("{}: {wanted} variables are wanted: {:?}", entry.id, library.variables));
    }
    Ok(wrong)
}

fn values(
    entry: &Entry,
    library: &Library,
    signatures: &HashMap<String, Signature>,
    tally: &mut Tally,
    wrong: &mut Vec<String>,
) {
    for function in &library.functions {
        let role = entry.roles.iter().find(|role| role.name == function.role).expect("the entry's role");
        // Alternatives of one function differ in their versions only, and the values' names tell which was taken.
        let names = |site: &&catalog::Site| {
            let wanted = site.values.iter().map(|v| (v.name.clone(), v.source.to_string()));
            wanted.eq(function.values.iter().map(|v| (v.name.clone(), v.source.clone())))
        };
        let sites = role.sites.iter().filter(|site| site.function == function.name).filter(names);
        let subjects: HashSet<&str> = sites
            .map(|site| match site.at {
                At::Entry | At::Exit => site.function.as_str(),
                _ => site.callee.as_deref().unwrap_or_default(),
            })
            .collect();
        for value in &function.values {
            let words: Vec<String> = value.words.iter().cloned().map(Word::into).collect();
            let said = subjects.iter().filter_map(|subject| place(signatures.get(*subject)?, &value.source));
            let said: Vec<Vec<String>> = said.collect();
            // On the stack DWARF gives the first word.
            let fits = |said: &Vec<String>| {
                *said == words
                    || (said.len() == 1 && said[0].starts_with("sp+") && words.first() == said.first())
            };
            match said.as_slice() {
                [] => tally.silent += 1,
                _ if UNUSED.contains(&(entry.id.as_str(), function.role.as_str(), value.name.as_str())) => {
                    tally.silent += 1;
                }
                some if some.iter().any(fits) && value.source.starts_with("arg") => tally.params += 1,
                some if some.iter().any(fits) => tally.results += 1,
                some => wrong.push(format!(
                    "{} {} {} ({}): {words:?} in the Plan, {some:?} by DWARF",
                    entry.id, function.role, value.name, value.source
                )),
            }
        }
    }
}

fn place(signature: &Signature, source: &str) -> Option<Vec<String>> {
    let (list, position) = match source.split_once(' ')? {
        ("arg", position) => (&signature.params, position),
        (_, position) => (&signature.results, position),
    };
    list.get(position.parse::<usize>().ok()?)?.clone()
}
