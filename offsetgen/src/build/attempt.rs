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
use offsets::database::observations::Layout;

use super::dwarf::{self, Found};
use super::source;
use super::wanted::Wanted;
use crate::toolchain::{Output, Store, Toolchain, go_environment, one_line, run_go};

/// Pauses before the second and later tries of what may pass.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// Words of the go command's messages about what may pass: the proxy is busy, or broke off.
const MAY_PASS: [&str; 12] = [
    "429 ",
    "500 ",
    "502 ",
    "503 ",
    "504 ",
    "EOF",
    "connection re",
    "timeout",
    "not a valid zip file",
    "no progress",
    "checksum error",
    "TLS handshake",
];
/// One line per package: import path, folder, module and its go line.
const LIST: &str = "{{.ImportPath}}\t{{.Dir}}\t{{with .Module}}{{.Path}}@{{.Version}}\t{{.GoVersion}}{{end}}";

/// What to build.
#[derive(Clone)]
pub struct Recipe<'a> {
    /// The structs, functions and programs.
    pub wanted: &'a Wanted<'a>,
    /// Module and version; none is the toolchain's own library.
    pub module: Option<(&'a str, &'a str)>,
    /// Another dependency than the module asks for.
    pub with: Option<(&'a str, &'a str)>,
    /// As Go spells it.
    pub arch: &'a str,
    /// The `h1:` that the module is known to have.
    pub known_hash: Option<&'a str>,
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
    /// `path@version` and its go line, of all modules that take part.
    pub modules: Vec<(String, String)>,
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
        modules: Vec::new(),
        hash: None,
    };
    if let Some((module, version)) = recipe.module {
        ready.resolve(recipe, store)?;
        let sums = read(&ready.folder.path().join("go.sum"))?;
        let prefix = format!("{module} {version} h1:");
        let line = sums.lines().find(|line| line.starts_with(&prefix));
        let hash = line.and_then(|line| line.rsplit(' ').next());
        ready.hash = Some(hash.context("go list left no hash of the module")?.to_owned());
    }
    Ok(ready)
}

fn write_programs(recipe: &Recipe<'_>, toolchain: &Toolchain, folder: &Path) -> Result<Vec<String>> {
    let go = toolchain.provenance.version.trim_start_matches("go");
    let minor: Vec<&str> = go.split('.').take(2).collect();
    let mut text = format!("module probe\n\ngo {}\n", minor.join("."));
    for (module, version) in recipe.module.iter().chain(&recipe.with) {
        text += &format!("\nrequire {module} {version}\n");
    }
    write(&folder.join("go.mod"), &text)?;
    if let (Some((module, version)), Some(hash)) = (recipe.module, recipe.known_hash) {
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
            let mut command = self.go(recipe.arch, store);
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
            let said = match &result {
                Ok(output) if output.success => break result?,
                Ok(output) => output.stderr.clone(),
                Err(error) => format!("{error:#}"),
            };
            let passing = !said.contains("SECURITY ERROR") && MAY_PASS.iter().any(|word| said.contains(word));
            match pauses.next() {
                Some(pause) if passing => std::thread::sleep(*pause),
                _ => bail!("go list: {}", self.last_lines(&said)),
            }
        };
        self.read_list(&output);
        Ok(())
    }

    fn read_list(&mut self, output: &Output) {
        let mut modules = BTreeSet::new();
        for line in output.stdout.lines() {
            if let [package, folder, module, go] = line.split('\t').collect::<Vec<_>>()[..]
                && module.contains("@v")
            {
                self.folders.insert(package.to_owned(), PathBuf::from(folder));
                modules.insert((module.to_owned(), go.to_owned()));
            }
        }
        self.modules = modules.into_iter().collect();
    }

    fn go(&self, arch: &str, store: &Store) -> Command {
        let mut command = go_environment(&self.toolchain.goroot.join("bin/go"), store.cache());
        let build = store.build_cache(&self.toolchain.provenance.version);
        command.current_dir(self.folder.path()).env("GOROOT", &self.toolchain.goroot).env("GOCACHE", build);
        command.env("GOOS", "linux").env("GOARCH", arch);
        // The compiler collects garbage less often: 6 % less of its time, the same bytes.
        command.env("GOGC", "400");
        command
    }

    /// Where a package's source is.
    fn folder_of(&self, package: &str) -> Option<PathBuf> {
        let own = self.folders.get(package).cloned();
        own.or_else(|| Some(self.toolchain.goroot.join("src").join(package)))
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
        let mut command = self.go(recipe.arch, store);
        command.env("GOPROXY", "off").args([
            "build",
            "-mod=mod",
            "-trimpath",
            "-ldflags=-compressdwarf=false",
            "-o",
        ]);
        command.arg(format!("{}/", out.display())).args(self.programs.iter().map(|name| format!("./{name}")));
        let output = run_go(command, None)?;
        if !output.success {
            bail!("go build: {}", self.last_lines(&output.stderr));
        }
        let mut found = Found::default();
        for name in &self.programs {
            merge(&mut found, dwarf::read(&out.join(name), recipe.wanted, recipe.arch)?)?;
        }
        Ok(found)
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
