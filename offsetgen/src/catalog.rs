//! The catalog as a build needs it: the entries of one module, and what others name of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use offsets::catalog::{self, Entry};
use offsets::names;

use crate::probe::symbol::Symbol;

/// The entries of the modules asked for, the embedded ones or those of a folder.
pub fn read(folder: Option<&Path>, only: &[String]) -> Result<Vec<Entry>> {
    let entries = match folder {
        None => catalog::entries().to_vec(),
        Some(folder) => {
            let files = texts(folder)?;
            catalog::load_dir(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?
        }
    };
    for module in only {
        if !entries.iter().any(|entry| entry.module == *module) {
            bail!("--only {module}: the catalog has no entry of that module");
        }
    }
    let borrowed = borrowed(&entries)?;
    let entries: Vec<Entry> = entries
        .into_iter()
        .chain(borrowed)
        .filter(|entry| only.is_empty() || only.contains(&entry.module))
        .collect();
    if entries.is_empty() {
        bail!("the catalog is empty");
    }
    Ok(entries)
}

/// What entries name of modules other than their own, as entries of those: it is recorded where its versions are.
fn borrowed(entries: &[Entry]) -> Result<Vec<Entry>> {
    let mut out = Vec::new();
    for entry in entries {
        let modules = || entries.iter().map(|entry| entry.module.as_str());
        let owner = |package: &str| names::owner(package, modules()).map(str::to_owned);
        let mut others: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for name in entry.structs() {
            let owner = names::package(name).and_then(owner).with_context(|| nobody(entry, name))?;
            others.entry(owner).or_default().0.push(name.to_owned());
        }
        for name in entry.functions() {
            let package = Symbol::parse(name, &entry.module).map(|symbol| symbol.package);
            let owner = package.as_deref().and_then(owner).with_context(|| nobody(entry, name))?;
            others.entry(owner).or_default().1.push(name.to_owned());
        }
        others.remove(&entry.module);
        for (module, (structs, functions)) in others {
            if !modules().any(|known| known == module) {
                bail!("{}: it names {structs:?} of {module}, of which the catalog has no entry", entry.file);
            }
            out.push(entry.borrowed(&module, structs, functions));
        }
    }
    Ok(out)
}

fn nobody(entry: &Entry, name: &str) -> String {
    format!("{}: {name} is of no module that the catalog has an entry of: add one for its module", entry.file)
}

fn texts(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?
    {
        let path = entry.with_context(|| format!("cannot read the folder {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}
