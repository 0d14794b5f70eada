//! How the source is laid out: no file of a crate imports another in a circle, and none is too long to be read at once.
//!
//! | module | has |
//! |---|---|
//! | [`tree`] | a crate's modules, and the file that each is in |
//! | [`words`] | what one file defines, imports and names |
//! | [`names`] | where an item that a path names is defined |
//! | [`circles`] | files that import one another |
//! | [`sizes`] | files that are too long |
//! | [`releases`] | tests that name a patch of Go by themselves |
//! | [`attributes`] | attributes of spans that the source can set, and the catalog's operations do not name, or the other way about |
//! | [`runtime`] | fields of `runtime.g` that a library's programs read, and its entry does not ask for |
//!
//! **An import** is a `use`, or a path in code, a macro's arguments included, that leads to an item which another file of the
//! same crate defines. A re-export is followed to the definition, so whoever asks a parent for what it re-exports from a child
//! imports the child. A `mod` line is no import, and neither is the name of a module by itself: what is asked of that module is.
//! A parent may so import its children; a child that then imports an item of the parent closes a circle, and that item wants a
//! file of its own. Calls of methods are not seen: they name no file. What is compiled for unit tests alone (`#[cfg(test)]`) may
//! look at anything.

mod attributes;
mod circles;
#[cfg(test)]
mod made_up;
mod names;
mod releases;
mod runtime;
mod sizes;
mod tree;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use offsets::catalog::Makes;
use strobe_tests::{catalog, machine};

/// Every crate's root: its libraries, programs and tests.
fn roots(workspace: &Path) -> Result<Vec<PathBuf>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]);
    let out = machine::run(cargo.current_dir(workspace))?;
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let targets = packages.iter().flat_map(|package| package["targets"].as_array().into_iter().flatten());
    targets.map(|target| Ok(PathBuf::from(target["src_path"].as_str().context("src_path")?))).collect()
}

#[test]
fn no_file_imports_another_in_a_circle() -> Result<()> {
    let workspace = machine::workspace();
    let mut all = Vec::new();
    let roots = roots(&workspace)?;
    ensure!(roots.len() > 20, "there are {} crates: what has become of the others?", roots.len());
    for root in roots {
        let found = circles::of(&tree::Crate::read(&root, &|path| std::fs::read_to_string(path).ok())?);
        all.extend(found.into_iter().map(|circle| circle.replace(&format!("{}/", workspace.display()), "")));
    }
    all.sort();
    all.dedup();
    ensure!(all.is_empty(), "{} circles of imports:\n{}", all.len(), all.join("\n"));
    Ok(())
}

#[test]
fn no_file_is_too_long() -> Result<()> {
    let workspace = machine::workspace();
    let out = machine::run(Command::new("git").args(["ls-files", "*.rs", "*.go"]).current_dir(&workspace))?;
    let files = String::from_utf8(out.stdout)?;
    ensure!(files.lines().count() > 300, "git knows {} files", files.lines().count());
    let said = sizes::wrong(files.lines(), &|file| std::fs::read_to_string(workspace.join(file)).ok());
    ensure!(said.is_empty(), "{}", said.join("\n"));
    Ok(())
}

#[test]
fn one_list_names_the_patches_of_go() -> Result<()> {
    let workspace = machine::workspace();
    let found = releases::outside_of_the_list(&workspace.join("tests"))?;
    ensure!(
        found.is_empty(),
        "these are for `golang::go(MINOR)`, so that a new release is one row:\n{}",
        found.join("\n")
    );
    Ok(())
}

/// The module and the catalog id of each library, as the table of the programs has them.
fn modules(workspace: &Path) -> Result<Vec<(String, String)>> {
    let table = std::fs::read_to_string(workspace.join("runtime-ebpf/src/libraries.rs"))?;
    let row = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [code, module, _, id] if code.parse::<u16>().is_ok() => {
            Some((module.to_owned(), id.trim_matches(['"', ';']).to_owned()))
        }
        _ => None,
    };
    Ok(table.lines().filter_map(row).collect())
}

#[test]
fn the_catalog_names_the_attributes_that_the_source_sets() -> Result<()> {
    let workspace = machine::workspace();
    let (modules, entries) = (modules(&workspace)?, catalog::traced()?);
    let ids: BTreeSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    let known: BTreeSet<&str> = modules.iter().map(|(_, id)| id.as_str()).collect();
    ensure!(ids == known, "the catalog has {ids:?}, the table of the programs {known:?}");
    // What adds to another library's span is sent in that library's name, whose source sets it: another test holds the two together.
    let said: BTreeMap<String, BTreeSet<String>> = modules
        .iter()
        .map(|(module, id)| {
            let made = catalog::operations(&entries, id).iter();
            let made = made.filter(|operation| matches!(operation.makes, Makes::Span { .. }));
            let keys =
                made.flat_map(|operation| &operation.attributes).map(|attribute| attribute.key.clone());
            (module.clone(), keys.collect())
        })
        .collect();
    let names: Vec<&str> = modules.iter().map(|(module, _)| module.as_str()).collect();
    let root = workspace.join("runtime/src/lib.rs");
    let source = attributes::of(&root, &names, &|path| std::fs::read_to_string(path).ok())?;
    let wrong = attributes::differences(&source, &said);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A program may use one library alone.
#[test]
fn each_library_asks_for_what_its_programs_read_of_the_runtime() -> Result<()> {
    let workspace = machine::workspace();
    let (programs, entries) = (workspace.join("runtime-ebpf/src/programs"), catalog::traced()?);
    let (mut wrong, mut met) = (Vec::new(), BTreeSet::new());
    for (module, id) in modules(&workspace)? {
        let entry = entries.iter().find(|entry| entry.id == id);
        let fields = entry.map_or(&[][..], |entry| &entry.fields);
        for needed in runtime::needed(&programs, &module)? {
            met.insert(needed);
            if !fields.iter().any(|field| field.type_name == "runtime.g" && field.name == needed) {
                wrong.push(format!(
                    "{id}: its programs need runtime.g.{needed}, for which its entry does not ask"
                ));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Else nothing is looked for where the programs are.
    let all: BTreeSet<&str> = runtime::NEEDS.iter().map(|(_, field)| *field).collect();
    ensure!(met == all, "of {all:?} only {met:?} are needed by any library");
    Ok(())
}
