//! A folder with the programs of one build, and the go command in it.
//!
//! The programs are `main` packages of one throwaway module that requires the version under test, so that one `go build`
//! makes them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::axis::{Axis, Other};
use super::recipe::Recipe;
use crate::go::cache::Store;
use crate::go::command::{go_environment, one_line};
use crate::go::toolchain::Toolchain;

/// The folder; it goes when this is dropped.
pub struct Workspace {
    /// What compiles in it.
    pub toolchain: Toolchain,
    folder: tempfile::TempDir,
    /// Names of the programs, each a folder.
    pub programs: Vec<String>,
}

impl Workspace {
    /// Writes the programs, and what their module requires.
    pub fn new(recipe: &Recipe<'_>, toolchain: &Toolchain, store: &Store) -> Result<Self> {
        let folder = store.scratch("target-")?;
        let programs = write_programs(recipe, toolchain, folder.path())?;
        Ok(Self { toolchain: toolchain.clone(), folder, programs })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the compiled programs are.
    pub fn out(&self) -> PathBuf {
        self.folder().join("out")
    }

    /// The programs as arguments of the go command.
    pub fn packages(&self) -> impl Iterator<Item = String> {
        self.programs.iter().map(|name| format!("./{name}"))
    }

    /// The go command, for one axis.
    pub fn go(&self, axis: &Axis<'_>, store: &Store) -> Command {
        let mut command = go_environment(&self.toolchain.goroot.join("bin/go"), store.cache());
        let build = store.build_cache(&self.toolchain.provenance.version);
        command.current_dir(self.folder()).env("GOROOT", &self.toolchain.goroot).env("GOCACHE", build);
        command.env("GOOS", "linux").env("GOARCH", axis.arch);
        if let Other::Experiment(experiment) = axis.other {
            command.env("GOEXPERIMENT", experiment);
        }
        // The compiler and the linker collect garbage only when they have used so much: less of their time, the same bytes.
        command.env("GOGC", "off").env("GOMEMLIMIT", format!("{}MiB", store.bounds().limit));
        command
    }

    /// The end of a message, without this machine's paths.
    pub fn last_lines(&self, text: &str) -> String {
        let text = text.replace(&self.folder().display().to_string(), "");
        let noise = |line: &&str| !line.trim().is_empty() && !line.starts_with("go: downloading ");
        let lines: Vec<&str> = text.lines().filter(noise).collect();
        let lines = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
        let text: String = lines.join("\n").chars().take(1000).collect();
        if text.is_empty() { one_line(&text) } else { text }
    }
}

fn write_programs(recipe: &Recipe<'_>, toolchain: &Toolchain, folder: &Path) -> Result<Vec<String>> {
    let go = toolchain.provenance.version.trim_start_matches("go");
    let minor: Vec<&str> = go.split('.').take(2).collect();
    let mut text = format!("module probe\n\ngo {}\n", minor.join("."));
    let with = match recipe.axis.other {
        Other::Dependencies(list) => list,
        _ => "",
    };
    let with = with.split(',').filter_map(|dependency| dependency.split_once('@'));
    for (module, version) in recipe.module.into_iter().chain(with) {
        text += &format!("\nrequire {module} {version}\n");
    }
    write(&folder.join("go.mod"), &text)?;
    // A hash that was once taken on trust vouches for nothing: without the flag the checksum database is asked again.
    let vouched = recipe.known.trust.is_none() || recipe.trust_on_first_use;
    if let (Some((module, version)), Some(hash), true) = (recipe.module, &recipe.known.hash, vouched) {
        write(&folder.join("go.sum"), &format!("{module} {version} {hash}\n"))?;
    }
    let mut names = Vec::new();
    for source in &recipe.wanted.sources {
        let name = format!("target{}", names.len());
        let package = folder.join(&name);
        fs::create_dir(&package).with_context(|| format!("cannot create {}", package.display()))?;
        write(&package.join("main.go"), source)?;
        names.push(name);
    }
    Ok(names)
}

/// Reads a file whole.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
