//! A crate's modules, and the file that each is in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::words::Words;

/// A module's place among a crate's modules.
pub type ModuleId = usize;
/// What a file has in it, if there is such a file.
pub type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// A crate: the root's module is the first.
#[derive(Debug, Default)]
pub struct Crate {
    /// All of them, parents first.
    pub modules: Vec<Module>,
}

/// A module.
#[derive(Debug)]
pub struct Module {
    /// Where its source is; an inline one has its parent's.
    pub file: PathBuf,
    /// None is the root's.
    pub parent: Option<ModuleId>,
    /// By name.
    pub children: BTreeMap<String, ModuleId>,
    /// What it has in it; its own modules are moved to `children`.
    pub words: Words,
}

impl Crate {
    /// Reads a crate from its root.
    pub fn read(root: &Path, read: Read<'_>) -> Result<Self> {
        let mut all = Self::default();
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        all.file(root, &folder, None, read)?;
        Ok(all)
    }

    /// Adds a module that is a file; those below it lie in `folder`.
    fn file(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<ModuleId>,
        read: Read<'_>,
    ) -> Result<ModuleId> {
        let text = read(file).with_context(|| format!("there is no {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
        self.module(file, folder, parent, Words::of(&parsed.items), read)
    }

    fn module(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<ModuleId>,
        mut words: Words,
        read: Read<'_>,
    ) -> Result<ModuleId> {
        let id = self.modules.len();
        let declared = std::mem::take(&mut words.modules);
        let by_macro = words.macro_words.clone();
        self.modules.push(Module { file: file.to_owned(), parent, children: BTreeMap::new(), words });
        for (name, path, inline) in declared {
            let child = match (inline, path) {
                (Some(words), path) => {
                    let beside = path.map(|path| normal(&file.parent().unwrap_or(Path::new("")).join(path)));
                    let folder = beside.unwrap_or_else(|| folder.join(&name));
                    self.module(file, &folder, Some(id), words, read)?
                }
                (None, Some(path)) => {
                    let file = normal(&file.parent().unwrap_or(Path::new("")).join(path));
                    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
                    self.file(&file, &folder, Some(id), read)?
                }
                (None, None) => {
                    let child = self.below(folder, &name, id, read)?;
                    child.with_context(|| format!("{}: mod {name} has no file", file.display()))?
                }
            };
            self.own(id, name, child);
        }
        // A macro that is a table of modules declares them: their names are among its words.
        for name in by_macro {
            if self.modules.get(id).is_some_and(|own| !own.children.contains_key(&name))
                && let Some(child) = self.below(folder, &name, id, read)?
            {
                self.own(id, name, child);
            }
        }
        Ok(id)
    }

    fn own(&mut self, id: ModuleId, name: String, child: ModuleId) {
        if let Some(module) = self.modules.get_mut(id) {
            module.children.insert(name, child);
        }
    }

    /// The file of a module of a folder, if there is one.
    fn below(
        &mut self,
        folder: &Path,
        name: &str,
        parent: ModuleId,
        read: Read<'_>,
    ) -> Result<Option<ModuleId>> {
        let inner = folder.join(name);
        for file in [folder.join(format!("{name}.rs")), inner.join("mod.rs")] {
            if read(&file).is_some() {
                return self.file(&file, &inner, Some(parent), read).map(Some);
            }
        }
        Ok(None)
    }
}

/// Without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(out.pop()),
            other => out.push(other),
        }
    }
    out
}
