//! One build: a version of a module, a toolchain, an architecture; from sources to what the DWARF says.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};

use super::dwarf::{self, Found, Names};
use super::modules::Modules;
use super::recipe::Recipe;
use super::shape::Layout;
use super::source;
use super::unreached::{note_foreign, note_unreached};
use super::workspace::Workspace;
use crate::failure::{Failure, Stage};
use crate::go::cache::Store;
use crate::go::command::run;
use crate::go::toolchain::Toolchain;

/// Sources and everything that they need, on this machine.
pub struct Ready {
    workspace: Workspace,
    /// What else takes part.
    pub modules: Modules,
}

/// Writes the programs and fetches what they need.
pub fn prepare(recipe: &Recipe<'_>, toolchain: &Toolchain, store: &Store) -> Result<Ready> {
    let workspace = Workspace::new(recipe, toolchain, store)?;
    let modules = match recipe.module {
        Some(module) => Modules::fetch(&workspace, recipe, module, store)?,
        None => Modules::default(),
    };
    Ok(Ready { workspace, modules })
}

impl Ready {
    /// A digest of the packages' source. For the standard library the compiler counts too.
    pub fn digest(&self, packages: &BTreeSet<String>, std: bool) -> Result<String> {
        let mut packages = packages.clone();
        if std {
            packages.extend(source::COMPILER.map(str::to_owned));
        }
        source::digest(&packages, |package| self.modules.folder_of(package, &self.workspace.toolchain.goroot))
    }

    /// Compiles, and reads what there is.
    pub fn build(&self, recipe: &Recipe<'_>, store: &Store) -> Result<Found> {
        let out = self.workspace.out();
        fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
        let mut command = self.workspace.go(&recipe.axis, store);
        command.env("GOPROXY", "off").args([
            "build",
            &format!("-p={}", store.bounds().processes),
            "-mod=mod",
            "-trimpath",
            "-ldflags=-compressdwarf=false",
            "-o",
        ]);
        command.arg(format!("{}/", out.display())).args(self.workspace.packages());
        let output = run(command, None)?;
        if !output.success {
            let text = format!("go build: {}", self.workspace.last_lines(&output.stderr));
            return Err(Failure::of_build(output.killed, text).into());
        }
        let mut found = Found::default();
        for name in &self.workspace.programs {
            let read = dwarf::read(&out.join(name), recipe.wanted, recipe.axis.arch);
            let merged = read.and_then(|other| merge(&mut found, other));
            merged.map_err(|error| match error.chain().any(|cause| cause.is::<std::io::Error>()) {
                true => error,
                false => Failure::new(Stage::Compile, format!("{error:#}")).into(),
            })?;
        }
        note_unreached(&mut found.shape, &self.workspace, &self.modules, recipe, store)?;
        note_foreign(&mut found, &self.workspace, &self.modules, recipe)?;
        Ok(found)
    }

    /// The names of all that the programs hold, once they are built.
    pub fn names(&self) -> Result<Names> {
        let mut names = Names::default();
        for name in &self.workspace.programs {
            dwarf::names(&self.workspace.out().join(name), &mut names)?;
        }
        Ok(names)
    }
}

/// Adds what another program of the same build has shown.
fn merge(found: &mut Found, other: Found) -> Result<()> {
    for (name, layout) in other.shape.structs {
        let known: &mut Option<Layout> = found.shape.structs.entry(name.clone()).or_default();
        match (&known, layout) {
            (_, None) => {}
            (Some(known), Some(layout)) if *known != layout => {
                bail!("{name} has two layouts in two programs")
            }
            (_, layout) => *known = layout,
        }
    }
    for (name, signature) in other.shape.functions {
        let known = found.shape.functions.entry(name).or_default();
        // The program that inlines less says more: it is the one whose calls can be seen.
        if known
            .as_ref()
            .is_none_or(|known| signature.as_ref().is_some_and(|other| other.inlined < known.inlined))
        {
            *known = signature;
        }
    }
    found.embedded.extend(other.embedded);
    Ok(())
}
