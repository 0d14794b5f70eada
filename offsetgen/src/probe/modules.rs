//! The modules that take part in one build, fetched and looked at.
//!
//! What the module under test requires is what its own go.mod says, as for a user who adds it alone. `go list` resolves and
//! fetches first, so that the build itself needs no network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use offsets::{STD, Version};

use super::recipe::Recipe;
use super::workspace::{Workspace, read};
use crate::failure::{self, Failure, Stage};
use crate::go::cache::Store;
use crate::go::command::{Output, run};

/// Pauses before the second and later tries of what may pass.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// One line per package: import path, folder, module, its go line and its folder.
const LIST: &str =
    "{{.ImportPath}}\t{{.Dir}}\t{{with .Module}}{{.Path}}@{{.Version}}\t{{.GoVersion}}\t{{.Dir}}{{end}}";

/// What `go list` has found. Of the standard library's own programs, nothing.
#[derive(Default)]
pub struct Modules {
    /// Of the packages that are not the toolchain's.
    folders: BTreeMap<String, PathBuf>,
    /// The module under test and where it is.
    own: Option<(String, PathBuf)>,
    /// `path@version` and its go line, of all modules that take part.
    all: Vec<(String, String)>,
    /// `h1:` of the module.
    pub hash: Option<String>,
}

impl Modules {
    /// Fetches what the programs need, and holds the module under test against what is known of it.
    pub fn fetch(
        workspace: &Workspace,
        recipe: &Recipe<'_>,
        (module, version): (&str, &str),
        store: &Store,
    ) -> Result<Self> {
        let mut modules = Self::resolve(workspace, recipe, store)?;
        let sums = read(&workspace.folder().join("go.sum"))?;
        let prefix = format!("{module} {version} h1:");
        let line = sums.lines().find(|line| line.starts_with(&prefix));
        let hash = line.and_then(|line| line.rsplit(' ').next());
        let selected = format!("{module}@{version}");
        if !modules.all.iter().any(|(module, _)| *module == selected) {
            let text =
                format!("go list: its dependencies ask for another version of the module than {version}");
            return Err(Failure::new(Stage::Compile, text).into());
        }
        let hash = hash.ok_or_else(|| Failure::new(Stage::Fetch, "go list left no hash of the module"))?;
        if let Some(known) = recipe.known.hash.as_ref().filter(|known| *known != hash) {
            let text = format!("SECURITY ERROR: its hash is {hash}, recorded is {known}");
            return Err(Failure::new(Stage::Fetch, text).into());
        }
        modules.hash = Some(hash.to_owned());
        Ok(modules)
    }

    /// `go list` with the network: the go.mod and go.sum become whole, and every package is in the module cache.
    fn resolve(workspace: &Workspace, recipe: &Recipe<'_>, store: &Store) -> Result<Self> {
        let mut pauses = PAUSES.iter();
        let output = loop {
            let mut command = workspace.go(&recipe.axis, store);
            command.env("GOPROXY", &store.network()?.goproxy).args([
                "list",
                "-mod=mod",
                "-modcacherw",
                "-deps",
                "-f",
                LIST,
            ]);
            command.args(workspace.packages());
            // A private module's hash is asked of nobody; else the checksum database decides.
            match std::env::var("GOSUMDB").ok().filter(|value| !value.is_empty() && value != "off") {
                _ if recipe.trust_on_first_use => command.env("GOSUMDB", "off"),
                Some(database) => command.env("GOSUMDB", database),
                None => &mut command,
            };
            let result = run(command, Some(store.timeout));
            let (killed, said) = match &result {
                Ok(output) if output.success => break result?,
                Ok(output) => (output.killed, output.stderr.clone()),
                Err(error) if Stage::of(error) == Stage::Machine => {
                    return Err(result.err().context("no error")?);
                }
                Err(error) => (false, format!("{error:#}")),
            };
            match pauses.next() {
                Some(pause) if failure::may_pass(&said) => {
                    std::thread::sleep(*pause);
                    store.wait_for_proxy(recipe.module);
                }
                _ => {
                    let text = format!("go list: {}", workspace.last_lines(&said));
                    return Err(Failure::of_fetch(killed, text).into());
                }
            }
        };
        Ok(Self::read(&output, recipe.module))
    }

    fn read(output: &Output, own: Option<(&str, &str)>) -> Self {
        let mut found = Self::default();
        let mut modules = BTreeSet::new();
        for line in output.stdout.lines() {
            let [package, folder, module, go, root] = line.split('\t').collect::<Vec<_>>()[..] else {
                continue;
            };
            let Some((path, _)) = module.split_once("@v") else { continue };
            found.folders.insert(package.to_owned(), PathBuf::from(folder));
            modules.insert((module.to_owned(), go.to_owned()));
            if own.is_some_and(|(own, _)| own == path) {
                found.own = Some((path.to_owned(), PathBuf::from(root)));
            }
        }
        found.all = modules.into_iter().collect();
        found
    }

    /// The other modules that it is compiled with, `path@version`.
    pub fn dependencies(&self) -> Vec<String> {
        let own = self.own.as_ref().map_or("", |(path, _)| path);
        let others = self.all.iter().filter(|(module, _)| module.split('@').next() != Some(own));
        others.map(|(module, _)| module.clone()).collect()
    }

    /// The oldest Go that all of them allow: the highest of the go lines.
    pub fn oldest_go(&self) -> Option<String> {
        let lines = self.all.iter().filter_map(|(_, go)| Some(Version::parse(STD, go)?.release()[1]));
        lines.max().map(|minor| format!("1.{minor}"))
    }

    /// The other modules that these packages are of.
    pub fn of_packages(&self, packages: &BTreeSet<String>) -> Vec<String> {
        let dependencies = self.dependencies();
        let paths = dependencies.iter().filter_map(|module| module.split('@').next());
        let paths: BTreeSet<&str> = paths.collect();
        let of = |package: &String| {
            let own = self.folders.contains_key(package);
            // Modules lie inside of one another: the longest path is the package's.
            let inside = paths.iter().filter(|path| is_in(package, path)).max_by_key(|path| path.len());
            let ours = self.own.as_ref().filter(|(path, _)| is_in(package, path));
            inside.filter(|path| own && ours.is_none_or(|(ours, _)| ours.len() < path.len())).copied()
        };
        packages.iter().filter_map(of).collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
    }

    /// Where a package's source is, if there is one. One of the module that no program uses lies there all the same.
    pub fn folder_of(&self, package: &str, goroot: &Path) -> Option<PathBuf> {
        if let Some(folder) = self.folders.get(package) {
            return Some(folder.clone());
        }
        match self.own.as_ref().filter(|(own, _)| is_in(package, own)) {
            Some((own, root)) => Some(root.join(package.get(own.len()..)?.trim_start_matches('/'))),
            None => Some(goroot.join("src").join(package)),
        }
    }
}

/// Whether a package is of a module, or of one inside of it.
pub fn is_in(package: &str, module: &str) -> bool {
    package.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
