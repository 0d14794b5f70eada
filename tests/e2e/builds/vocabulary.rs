//! What a Plan says of types beside their fields, held against what the program says of itself when it runs; and which
//! alternative is taken of a fork, whose version says nothing.

use std::path::Path;
use std::process::Command;

use analyzer::Options;
use analyzer::plan::Library;
use anyhow::{Context, Result, ensure};
use offsets::catalog;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;
use strobe_tests::machine;

use crate::{NEW, NEWEST, build, plan, read};

/// Its types have parameters.
const GO_MOD: &str = "module example.com/app\n\ngo 1.18\n";
const MAIN: &str = "package main\n\nimport store \"example.com/app/lib\"\n\nfunc main() { store.Use(7) }\n";

fn library(file: &[u8], toml: (&str, &str)) -> Result<Library> {
    let entries = catalog::load_dir([toml])?;
    let options =
        Options { entries: Vec::leak(entries), dwarf: false, database: false, ..Options::default() };
    plan(file, &options)?.libraries.into_iter().next().context("the library is not found")
}

/// Lines of `KIND NAME NUMBER NUMBER`.
fn said(program: &Path) -> Result<Vec<(String, String, u64, u64)>> {
    let out = machine::run(&mut Command::new(program))?;
    let text = String::from_utf8(out.stdout)?;
    let line = |line: &str| -> Result<_> {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, name, first, second] = words[..] else { anyhow::bail!("{line:?}") };
        Ok((kind.to_owned(), name.to_owned(), first.parse()?, second.parse()?))
    };
    text.lines().map(line).collect()
}

#[test]
fn sizes_descriptors_and_contexts_are_what_the_program_says_of_itself() -> Result<()> {
    let files = [("go.mod", GO_MOD), ("main.go", MAIN), ("lib/lib.go", include_str!("vocabulary_lib.go"))];
    for version in [go(19), go(22), go(24), NEW, NEWEST] {
        for arch in ["amd64", "arm64"] {
            let recipe =
                Recipe { version, arch, mode: "exe", args: &["-ldflags=-s -w"], files: &files, modules: &[] };
            let program = build(&recipe)?;
            let toml = ("vocabulary.toml", include_str!("vocabulary.toml"));
            let library = library(&read(&program)?, toml)?;
            // Go 1.19 numbers the shapes: `Of[go.shape.int_0]`.
            if version != go(19) {
                generics(&library, arch)
                    .with_context(|| format!("Go {version}, {arch}: {:?}", library.functions))?;
            }
            maps(&library).with_context(|| format!("Go {version}, {arch}: {:?}", library.maps))?;
            let absent = library.types.iter().find(|t| t.type_name == "*example.com/app/lib.Absent");
            ensure!(absent.context("it is not listed")?.vaddr.is_none(), "Go {version}, {arch}");
            let absent = library.sizes.iter().find(|s| s.type_name == "example.com/app/lib.Absent");
            ensure!(absent.context("it is not listed")?.size.is_none(), "Go {version}, {arch}");
            // Addresses are those of one build: another architecture's program does not run here, and its sizes are the same.
            let runs = cfg!(target_arch = "aarch64") == (arch == "arm64");
            let told = said(&if runs { program } else { build(&Recipe { arch: HOST, ..recipe })? })?;
            ensure!(told.len() == 13, "{told:?}");
            for (kind, name, number, holds) in told {
                equal(&library, &kind, &name, runs.then_some(number), number, holds)
                    .with_context(|| format!("Go {version}, {arch}: {kind} {name}: {number}, {holds}"))?;
            }
        }
    }
    Ok(())
}

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

fn equal(
    library: &Library,
    kind: &str,
    name: &str,
    address: Option<u64>,
    size: u64,
    holds: u64,
) -> Result<()> {
    match kind {
        "size" => {
            let found = library.sizes.iter().find(|s| s.type_name == name).context("it is not listed")?;
            ensure!(found.size == Some(size), "{found:?}");
        }
        "type" => {
            let found = library.types.iter().find(|t| t.type_name == name).context("it is not listed")?;
            ensure!(found.vaddr.is_some() && address.is_none_or(|a| found.vaddr == Some(a)), "{found:?}");
        }
        _ => {
            let found = library.itabs.iter().find(|i| i.concrete == name).context("it is not listed")?;
            ensure!(found.vaddr.is_some() && address.is_none_or(|a| found.vaddr == Some(a)), "{found:?}");
            let held = found.holds.as_ref().map(|held| (held.type_name.as_str(), held.offset));
            let expected = match name {
                "*example.com/app/lib.Alone" | "*example.com/app/lib.Chained" => None,
                "*example.com/app/lib.Framework" => Some(("*net/http.Request", holds)),
                _ => Some(("context.Context", holds)),
            };
            ensure!(held == expected, "{held:?}, not {expected:?}");
        }
    }
    Ok(())
}

/// The dictionary comes first in a function, behind the receiver in a method, and not at all in a closure. What an objdump of each shows:
/// parameters are taken from the second and third register on, or from the first.
fn generics(library: &Library, arch: &str) -> Result<()> {
    let registers =
        if arch == "arm64" { ["r0", "r1", "r2", "r3", "r4"] } else { ["rax", "rbx", "rcx", "rdi", "rsi"] };
    for (role, first) in [("function", 1), ("method", 2), ("closure", 0)] {
        let function = library.functions.iter().find(|f| f.role == role).context(role)?;
        let words = |name: &str| -> Result<Vec<String>> {
            let value = function.values.iter().find(|v| v.name == name).context("the value")?;
            Ok(value.words.iter().cloned().map(String::from).collect())
        };
        ensure!(words("n")? == registers[first..=first], "{role}: n in {:?}", words("n")?);
        ensure!(words("text")? == registers[first + 1..first + 3], "{role}: text in {:?}", words("text")?);
    }
    ensure!(
        library.functions.iter().all(|f| f.role != "wrong"),
        "a first parameter of another size is taken"
    );
    Ok(())
}

/// Keys and elements of more than 128 bytes are kept behind pointers, in maps of buckets as in maps of groups.
fn maps(library: &Library) -> Result<()> {
    for (name, keys, elements) in [
        ("map[string][]string", false, false),
        ("map[[200]uint8]int", true, false),
        ("map[int][200]uint8", false, true),
    ] {
        let map = library.maps.iter().find(|map| map.type_name == name).context(name)?;
        ensure!(map.implementation.is_some(), "{map:?}");
        ensure!((map.indirect_keys, map.indirect_elems) == (keys, elements), "{map:?}");
    }
    Ok(())
}

/// A fork behind `replace` says that it is v1.9.0, and may be like any version: what its function takes decides.
#[test]
fn of_a_fork_the_argument_words_decide() -> Result<()> {
    const GO_MOD: &str = "module example.com/app\n\ngo 1.17\n\nrequire example.com/known v1.9.0\n\n\
        replace example.com/known => ./fork\n";
    const MAIN: &str =
        "package main\n\nimport \"example.com/known\"\n\nfunc main() { println(known.Call()) }\n";
    for (parameters, arguments, expected) in [
        ("a, b int", "1, 2", Some("old")),
        ("a, b, c int", "1, 2, 3", Some("new")),
        ("a, b, c, d int", "1, 2, 3, 4", None),
    ] {
        let fork = format!(
            "package known\n\n//go:noinline\nfunc Send({parameters}) int {{ println(a, b); return a + b }}\n\n\
             func Call() int {{ return Send({arguments}) }}\n"
        );
        let files = [
            ("go.mod", GO_MOD),
            ("main.go", MAIN),
            ("fork/go.mod", "module example.com/known\n\ngo 1.17\n"),
            ("fork/known.go", &fork),
        ];
        for version in [go(22), NEWEST] {
            let file = read(&build(&Recipe::server(version, &files))?)?;
            let library = library(&file, ("fork.toml", include_str!("fork.toml")))?;
            let taken = library.functions.first().map(|f| f.site.as_deref().unwrap_or_default());
            ensure!(taken == expected, "Go {version}, Send({parameters}): {taken:?}, {:?}", library.reason);
        }
    }
    Ok(())
}
