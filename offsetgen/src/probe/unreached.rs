//! What the source declares and the programs do not have, or have as another module's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use offsets::names::package;

use super::declared::{declares, declares_function, defined_as};
use super::dwarf::Found;
use super::modules::{Modules, is_in};
use super::recipe::Recipe;
use super::shape::Shape;
use super::source;
use super::symbol::Symbol;
use super::workspace::{Workspace, read};
use crate::failure::Failure;
use crate::go::cache::Store;
use crate::go::command::run;

/// One line per package: import path, folder and the Go files of this build; no folder where there is no such package.
const FILES: &str = "{{.ImportPath}}\t{{.Dir}}\t{{range .GoFiles}}{{.}} {{end}}";

/// Takes what no program has and the source declares for what it is: nothing is known of it, and that is no absence.
pub fn note_unreached(
    shape: &mut Shape,
    workspace: &Workspace,
    modules: &Modules,
    recipe: &Recipe<'_>,
    store: &Store,
) -> Result<()> {
    let of_type = |name: &String| {
        let split =
            package(name).and_then(|own| Some((own.to_owned(), name.get(own.len() + 1..)?.to_owned())));
        split.with_context(|| format!("{name} names no package"))
    };
    let module = recipe.wanted.module;
    let of_function =
        |name: &String| Symbol::parse(name, module).with_context(|| format!("{name} names no package"));
    let structs = shape.structs.iter().filter(|(_, layout)| layout.is_none());
    let functions = shape.functions.iter().filter(|(_, signature)| signature.is_none());
    let structs = structs.map(|(name, _)| Ok(of_type(name)?.0));
    let functions = functions.map(|(name, _)| Ok(of_function(name)?.package));
    let packages: BTreeSet<String> = structs.chain(functions).collect::<Result<_>>()?;
    let packages = packages.iter().map(String::as_str);
    let files = files_of(packages, workspace, modules, recipe, store)?;
    let some_file = |package: &str, is_it: &dyn Fn(&str) -> bool| {
        files.iter().filter(|(own, _)| own == package).flat_map(|(_, texts)| texts).any(|text| is_it(text))
    };
    shape.structs.retain(|name, layout| {
        let declared = |(own, bare): (String, String)| some_file(&own, &|text| declares(text, &bare));
        let unreached = layout.is_none() && of_type(name).is_ok_and(declared);
        if unreached {
            shape.unreached.insert(name.clone());
        }
        !unreached
    });
    shape.functions.retain(|name, signature| {
        let declared = |symbol: Symbol| some_file(&symbol.package, &|text| declares_function(text, &symbol));
        let unreached = signature.is_none() && of_function(name).is_ok_and(declared);
        if unreached {
            shape.unreached_functions.insert(name.clone());
        }
        !unreached
    });
    Ok(())
}

/// A struct that is defined as another module's (`type T other.U`) lies as that one's version says: this one's record knows
/// nothing of it. One that is defined as another package's of the same module rests on that package's source.
pub fn note_foreign(
    found: &mut Found,
    workspace: &Workspace,
    modules: &Modules,
    recipe: &Recipe<'_>,
) -> Result<()> {
    let goroot = &workspace.toolchain.goroot;
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut foreign = Vec::new();
    for name in found.shape.structs.iter().filter_map(|(name, layout)| layout.as_ref().map(|_| name)) {
        let Some(own) = package(name) else { continue };
        if !texts.contains_key(own) {
            let folder = modules.folder_of(own, goroot).filter(|folder| folder.is_dir());
            texts.insert(own, folder.map_or_else(|| Ok(Vec::new()), |folder| source::files(&folder))?);
        }
        let bare = name.get(own.len() + 1..).unwrap_or_default();
        let mut all = texts.get(own).into_iter().flatten();
        let Some(path) = all.find_map(|text| defined_as(text, bare)) else { continue };
        let is_ours = match recipe.module {
            None => !path.is_empty(),
            Some((module, _)) => is_in(&path, module),
        };
        if is_ours {
            found.embedded.insert(path);
        } else {
            foreign.push(name.clone());
        }
    }
    for name in foreign {
        found.shape.structs.remove(&name);
        found.shape.unreached.insert(name);
    }
    Ok(())
}

/// The Go files of these packages that take part in such a build; of one that does not exist, none.
fn files_of<'p>(
    packages: impl Iterator<Item = &'p str>,
    workspace: &Workspace,
    modules: &Modules,
    recipe: &Recipe<'_>,
    store: &Store,
) -> Result<Vec<(String, Vec<String>)>> {
    let goroot = &workspace.toolchain.goroot;
    let existing =
        packages.filter(|package| modules.folder_of(package, goroot).is_some_and(|folder| folder.is_dir()));
    let existing: Vec<&str> = existing.collect();
    if existing.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = workspace.go(&recipe.axis, store);
    command.env("GOPROXY", "off").args(["list", "-e", "-mod=mod", "-f", FILES]).args(existing);
    let output = run(command, None)?;
    if !output.success {
        let text = format!("go list: {}", workspace.last_lines(&output.stderr));
        return Err(Failure::of_build(output.killed, text).into());
    }
    let mut all = Vec::new();
    for line in output.stdout.lines() {
        if let [package, folder, files] = line.split('\t').collect::<Vec<_>>()[..] {
            let texts = files.split_whitespace().map(|name| read(&Path::new(folder).join(name)));
            all.push((package.to_owned(), texts.collect::<Result<_>>()?));
        }
    }
    Ok(all)
}
