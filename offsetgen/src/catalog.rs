//! The catalog as a build needs it: the entries of one module, what others name of it, and the programs to compile.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use offsets::catalog::{self, Entry};
use offsets::{Version, names};

use crate::probe::symbol::Symbol;

/// The folder of the targets' programs, in that of the entries.
const TARGETS: &str = "targets";

/// Entries, and the programs that their targets name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Those of the modules asked for.
    pub entries: Vec<Entry>,
    /// By the file's name: its text.
    programs: BTreeMap<String, String>,
}

impl Catalog {
    /// The entries of the modules asked for, the embedded ones or those of a folder.
    pub fn read(folder: Option<&Path>, only: &[String]) -> Result<Self> {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let (entries, programs) = match folder {
            None => (catalog::entries().to_vec(), catalog::targets().iter().map(owned).collect()),
            Some(folder) => {
                let files = texts(folder, "toml")?;
                let entries =
                    catalog::load_dir(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
                let programs = programs(&folder.join(TARGETS), &entries)?;
                (entries, programs)
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
        Ok(Self { entries, programs })
    }

    /// The entries of one module.
    pub fn of_module(&self, module: &str) -> Self {
        let own = self.entries.iter().filter(|entry| entry.module == module);
        Self { entries: own.cloned().collect(), programs: self.programs.clone() }
    }

    /// The program that makes what an entry names reachable in a version; none for what another module's entry names.
    pub fn program(&self, entry: &Entry, version: &Version) -> Option<&str> {
        self.programs.get(entry.target.as_ref()?.file_for(version)).map(String::as_str)
    }
}

/// The programs of some entries' targets: each has one, and each is there.
fn programs(folder: &Path, entries: &[Entry]) -> Result<BTreeMap<String, String>> {
    let mut programs = BTreeMap::new();
    for entry in entries {
        let file = &entry.file;
        let target = entry.target.as_ref();
        let target =
            target.with_context(|| format!("{file}: target: there is nothing to build without one"))?;
        for name in target.files() {
            let path = folder.join(name);
            let text = fs::read_to_string(&path);
            let text =
                text.with_context(|| format!("{file}: target.file: cannot read {}", path.display()))?;
            programs.insert(name.to_owned(), text);
        }
    }
    Ok(programs)
}

/// What entries name of modules other than their own, as entries of those: it is recorded where its versions are.
fn borrowed(entries: &[Entry]) -> Result<Vec<Entry>> {
    let mut out = Vec::new();
    for entry in entries {
        let modules = || entries.iter().map(|entry| entry.module.as_str());
        let owner = |package: &str| names::owner(package, modules()).map(str::to_owned);
        let mut others: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for name in entry.structs() {
            match names::package(name).and_then(owner) {
                Some(owner) => others.entry(owner).or_default().0.push(name.to_owned()),
                None => ensure!(is_only_if_present(entry, name), nobody(entry, name)),
            }
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

/// Whether nothing is missing where nobody knows the struct: then it may be of a module that is not recorded, and what a binary says of it
/// decides alone.
fn is_only_if_present(entry: &Entry, name: &str) -> bool {
    let mut fields = entry.fields.iter().filter(|field| field.type_name == name).peekable();
    fields.peek().is_some() && fields.all(|field| field.if_present)
}

fn nobody(entry: &Entry, name: &str) -> String {
    format!("{}: {name} is of no module that the catalog has an entry of: add one for its module", entry.file)
}

fn texts(folder: &Path, kind: &str) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?
    {
        let path = entry.with_context(|| format!("cannot read the folder {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == kind) {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        "id = 'm'\ntitle = 'm'\nmodule = 'a.b/m'\nstatus = 'recorded'\nstructs = ['a.b/m.T']\n";

    #[test]
    fn a_target_has_a_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |text: &str| {
            fs::write(folder.path().join("m.toml"), text).expect("written");
            Catalog::read(Some(folder.path()), &[])
        };
        let target = format!(
            "{ENTRY}[target]\nfile = 'm.go'\n[[target.variant]]\nuntil = 'v1.0.0'\nfile = 'old.go'\n"
        );
        let said = |text: &str| format!("{:#}", read(text).expect_err("an error"));
        assert!(
            said(ENTRY).contains("m.toml: target: there is nothing to build without one"),
            "{}",
            said(ENTRY)
        );
        let message = said(&target);
        assert!(
            message.contains("m.toml: target.file: cannot read ") && message.contains("targets/m.go"),
            "{message}"
        );
        fs::create_dir(folder.path().join("targets")).expect("a folder");
        for (name, text) in [("m.go", "new"), ("old.go", "old")] {
            fs::write(folder.path().join("targets").join(name), text).expect("written");
        }
        let catalog = read(&target).expect("read").of_module("a.b/m");
        let [entry] = catalog.entries.as_slice() else { panic!("{catalog:?}") };
        for (version, text) in [("v0.9.0", "old"), ("v1.0.0", "new")] {
            let version = Version::parse("a.b/m", version).expect("a version");
            assert_eq!(catalog.program(entry, &version), Some(text));
        }
    }
}
