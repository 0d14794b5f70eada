//! One build: a version of a module, a toolchain, an architecture; from sources to what the DWARF says.
//!
//! The programs are `main` packages of one throwaway module that requires the version under test, so that one `go build`
//! makes them all. What the module requires is what its own go.mod says, as for a user who adds it alone. `go list`
//! resolves and fetches first, so that the build itself needs no network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use offsets::database::format::Tested;
use offsets::database::observations::{Layout, Shape};
use offsets::names::package;
use offsets::{STD, Version};

use super::axis::{Axis, Other};
use super::disproof::Census;
use super::dwarf::{self, Found};
use super::source::{self, Symbol, declares};
use super::wanted::Wanted;
use crate::failure::{self, Failure, Stage};
use crate::toolchain::{Output, Store, Toolchain, go_environment, one_line, run_go};

/// Pauses before the second and later tries of what may pass.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// One line per package: import path, folder, module, its go line and its folder.
const LIST: &str =
    "{{.ImportPath}}\t{{.Dir}}\t{{with .Module}}{{.Path}}@{{.Version}}\t{{.GoVersion}}\t{{.Dir}}{{end}}";
/// One line per package: import path, folder and the Go files of this build; no folder where there is no such package.
const FILES: &str = "{{.ImportPath}}\t{{.Dir}}\t{{range .GoFiles}}{{.}} {{end}}";

/// What to build.
#[derive(Clone)]
pub struct Recipe<'a> {
    /// The structs, functions and programs.
    pub wanted: &'a Wanted<'a>,
    /// Module and version; none is the toolchain's own library.
    pub module: Option<(&'a str, &'a str)>,
    /// What for.
    pub axis: Axis<'a>,
    /// What is known of the version: the hash that it must have.
    pub known: &'a Tested,
    /// Whether a module that no checksum database vouches for is taken.
    pub trust_on_first_use: bool,
}

/// Sources and everything that they need, on this machine.
pub struct Ready {
    toolchain: Toolchain,
    folder: tempfile::TempDir,
    programs: Vec<String>,
    /// Of the packages that are not the toolchain's.
    folders: BTreeMap<String, PathBuf>,
    /// The module under test and where it is.
    own: Option<(String, PathBuf)>,
    /// `path@version` and its go line, of all modules that take part.
    modules: Vec<(String, String)>,
    /// `h1:` of the module.
    pub hash: Option<String>,
}

/// Writes the programs and fetches what they need.
pub fn prepare(recipe: &Recipe<'_>, toolchain: &Toolchain, store: &Store) -> Result<Ready> {
    let folder = store.scratch("target-")?;
    let programs = write_programs(recipe, toolchain, folder.path())?;
    let mut ready = Ready {
        toolchain: toolchain.clone(),
        folder,
        programs,
        folders: BTreeMap::new(),
        own: None,
        modules: Vec::new(),
        hash: None,
    };
    if let Some((module, version)) = recipe.module {
        ready.resolve(recipe, store)?;
        let sums = read(&ready.folder.path().join("go.sum"))?;
        let prefix = format!("{module} {version} h1:");
        let line = sums.lines().find(|line| line.starts_with(&prefix));
        let hash = line.and_then(|line| line.rsplit(' ').next());
        let selected = format!("{module}@{version}");
        if !ready.modules.iter().any(|(module, _)| *module == selected) {
            let text =
                format!("go list: its dependencies ask for another version of the module than {version}");
            return Err(Failure::new(Stage::Compile, text).into());
        }
        let hash = hash.ok_or_else(|| Failure::new(Stage::Fetch, "go list left no hash of the module"))?;
        if let Some(known) = recipe.known.hash.as_ref().filter(|known| *known != hash) {
            let text = format!("SECURITY ERROR: its hash is {hash}, recorded is {known}");
            return Err(Failure::new(Stage::Fetch, text).into());
        }
        ready.hash = Some(hash.to_owned());
    }
    Ok(ready)
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

impl Ready {
    /// `go list` with the network: the go.mod and go.sum become whole, and every package is in the module cache.
    fn resolve(&mut self, recipe: &Recipe<'_>, store: &Store) -> Result<()> {
        let mut pauses = PAUSES.iter();
        let output = loop {
            let mut command = self.go(&recipe.axis, store);
            command.env("GOPROXY", &store.network()?.goproxy).args([
                "list",
                "-mod=mod",
                "-modcacherw",
                "-deps",
                "-f",
                LIST,
            ]);
            command.args(self.programs.iter().map(|name| format!("./{name}")));
            // A private module's hash is asked of nobody; else the checksum database decides.
            match std::env::var("GOSUMDB").ok().filter(|value| !value.is_empty() && value != "off") {
                _ if recipe.trust_on_first_use => command.env("GOSUMDB", "off"),
                Some(database) => command.env("GOSUMDB", database),
                None => &mut command,
            };
            let result = run_go(command, Some(store.timeout));
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
                    let text = format!("go list: {}", self.last_lines(&said));
                    return Err(Failure::of_fetch(killed, text).into());
                }
            }
        };
        self.read_list(&output, recipe.module);
        Ok(())
    }

    fn read_list(&mut self, output: &Output, own: Option<(&str, &str)>) {
        let mut modules = BTreeSet::new();
        for line in output.stdout.lines() {
            let [package, folder, module, go, root] = line.split('\t').collect::<Vec<_>>()[..] else {
                continue;
            };
            let Some((path, _)) = module.split_once("@v") else { continue };
            self.folders.insert(package.to_owned(), PathBuf::from(folder));
            modules.insert((module.to_owned(), go.to_owned()));
            if own.is_some_and(|(own, _)| own == path) {
                self.own = Some((path.to_owned(), PathBuf::from(root)));
            }
        }
        self.modules = modules.into_iter().collect();
    }

    /// The other modules that it is compiled with, `path@version`.
    pub fn dependencies(&self) -> Vec<String> {
        let own = self.own.as_ref().map_or("", |(path, _)| path);
        let others = self.modules.iter().filter(|(module, _)| module.split('@').next() != Some(own));
        others.map(|(module, _)| module.clone()).collect()
    }

    /// The oldest Go that all of them allow: the highest of the go lines.
    pub fn oldest_go(&self) -> Option<String> {
        let lines = self.modules.iter().filter_map(|(_, go)| Some(Version::parse(STD, go)?.release()[1]));
        lines.max().map(|minor| format!("1.{minor}"))
    }

    /// The other modules that these packages are of.
    pub fn modules_of(&self, packages: &BTreeSet<String>) -> Vec<String> {
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

    fn go(&self, axis: &Axis<'_>, store: &Store) -> Command {
        let mut command = go_environment(&self.toolchain.goroot.join("bin/go"), store.cache());
        let build = store.build_cache(&self.toolchain.provenance.version);
        command.current_dir(self.folder.path()).env("GOROOT", &self.toolchain.goroot).env("GOCACHE", build);
        command.env("GOOS", "linux").env("GOARCH", axis.arch);
        if let Other::Experiment(experiment) = axis.other {
            command.env("GOEXPERIMENT", experiment);
        }
        // The compiler and the linker collect garbage only when they have used so much: less of their time, the same bytes.
        command.env("GOGC", "off").env("GOMEMLIMIT", format!("{}MiB", store.bounds().limit));
        command
    }

    /// Where a package's source is, if there is one. One of the module that no program uses lies there all the same.
    fn folder_of(&self, package: &str) -> Option<PathBuf> {
        if let Some(folder) = self.folders.get(package) {
            return Some(folder.clone());
        }
        match self.own.as_ref().filter(|(own, _)| is_in(package, own)) {
            Some((own, root)) => Some(root.join(package.get(own.len()..)?.trim_start_matches('/'))),
            None => Some(self.toolchain.goroot.join("src").join(package)),
        }
    }

    /// Takes what no program has and the source declares for what it is: nothing is known of it, and that is no absence.
    fn note_unreached(&self, shape: &mut Shape, recipe: &Recipe<'_>, store: &Store) -> Result<()> {
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
        let files = self.files_of(packages.iter().map(String::as_str), recipe, store)?;
        let some_file = |package: &str, is_it: &dyn Fn(&str) -> bool| {
            files
                .iter()
                .filter(|(own, _)| own == package)
                .flat_map(|(_, texts)| texts)
                .any(|text| is_it(text))
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
            let declared =
                |symbol: Symbol| some_file(&symbol.package, &|text| source::declares_function(text, &symbol));
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
    fn note_foreign(&self, found: &mut Found, recipe: &Recipe<'_>) -> Result<()> {
        let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut foreign = Vec::new();
        for name in found.shape.structs.iter().filter_map(|(name, layout)| layout.as_ref().map(|_| name)) {
            let Some(own) = package(name) else { continue };
            if !texts.contains_key(own) {
                let folder = self.folder_of(own).filter(|folder| folder.is_dir());
                texts.insert(own, folder.map_or_else(|| Ok(Vec::new()), |folder| source::files(&folder))?);
            }
            let bare = name.get(own.len() + 1..).unwrap_or_default();
            let mut all = texts.get(own).into_iter().flatten();
            let Some(path) = all.find_map(|text| source::defined_as(text, bare)) else { continue };
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
        &self,
        packages: impl Iterator<Item = &'p str>,
        recipe: &Recipe<'_>,
        store: &Store,
    ) -> Result<Vec<(String, Vec<String>)>> {
        let existing =
            packages.filter(|package| self.folder_of(package).is_some_and(|folder| folder.is_dir()));
        let existing: Vec<&str> = existing.collect();
        if existing.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = self.go(&recipe.axis, store);
        command.env("GOPROXY", "off").args(["list", "-e", "-mod=mod", "-f", FILES]).args(existing);
        let output = run_go(command, None)?;
        if !output.success {
            let text = format!("go list: {}", self.last_lines(&output.stderr));
            return Err(Failure::of_build(&output, text).into());
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

    /// A digest of the packages' source. For the standard library the compiler counts too.
    pub fn digest(&self, packages: &BTreeSet<String>, std: bool) -> Result<String> {
        let mut packages = packages.clone();
        if std {
            packages.extend(source::COMPILER.map(str::to_owned));
        }
        source::digest(&packages, |package| self.folder_of(package))
    }

    /// Compiles, and reads what there is.
    pub fn build(&self, recipe: &Recipe<'_>, store: &Store) -> Result<Found> {
        let out = self.folder.path().join("out");
        fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
        let mut command = self.go(&recipe.axis, store);
        command.env("GOPROXY", "off").args([
            "build",
            &format!("-p={}", store.bounds().processes),
            "-mod=mod",
            "-trimpath",
            "-ldflags=-compressdwarf=false",
            "-o",
        ]);
        command.arg(format!("{}/", out.display())).args(self.programs.iter().map(|name| format!("./{name}")));
        let output = run_go(command, None)?;
        if !output.success {
            let text = format!("go build: {}", self.last_lines(&output.stderr));
            return Err(Failure::of_build(&output, text).into());
        }
        let mut found = Found::default();
        for name in &self.programs {
            let read = dwarf::read(&out.join(name), recipe.wanted, recipe.axis.arch);
            let merged = read.and_then(|other| merge(&mut found, other));
            merged.map_err(|error| match error.chain().any(|cause| cause.is::<std::io::Error>()) {
                true => error,
                false => Failure::new(Stage::Compile, format!("{error:#}")).into(),
            })?;
        }
        self.note_unreached(&mut found.shape, recipe, store)?;
        self.note_foreign(&mut found, recipe)?;
        Ok(found)
    }

    /// The names of all that the programs hold, once they are built.
    pub fn census(&self) -> Result<Census> {
        let mut census = Census::default();
        for name in &self.programs {
            dwarf::census(&self.folder.path().join("out").join(name), &mut census)?;
        }
        Ok(census)
    }

    /// The end of a message, without this machine's paths.
    fn last_lines(&self, text: &str) -> String {
        let text = text.replace(&self.folder.path().display().to_string(), "");
        let noise = |line: &&str| !line.trim().is_empty() && !line.starts_with("go: downloading ");
        let lines: Vec<&str> = text.lines().filter(noise).collect();
        let lines = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
        let text: String = lines.join("\n").chars().take(1000).collect();
        if text.is_empty() { one_line(&text) } else { text }
    }
}

/// Whether a package is of a module, or of one inside of it.
fn is_in(package: &str, module: &str) -> bool {
    package.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
