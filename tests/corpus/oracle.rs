//! The Go oracle: built from `corpus/oracle` once, run on a file, its output read.

use std::path::{Path, PathBuf};
use std::process::Command;

use analyzer::go::buildinfo::{BuildInfo, BuiltModule};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use strobe_tests::{corpus, golang, machine};

/// The built program.
#[derive(Debug)]
pub struct Oracle {
    program: PathBuf,
}

/// What Go reads in a file.
#[derive(Debug)]
pub struct Reading {
    /// All but the functions.
    pub head: Head,
    text: Vec<u8>,
    functions_at: usize,
}

/// The oracle's first line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Head {
    pub arch: String,
    pub pie: bool,
    pub cgo: bool,
    pub symbols: bool,
    pub pclntab: String,
    pub text: String,
    pub functions: usize,
    pub build_error: String,
    pub build: Option<Build>,
}

/// `debug.BuildInfo`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Build {
    pub go_version: String,
    path: String,
    main: Module,
    deps: Option<Vec<Module>>,
    settings: Option<Vec<Setting>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Module {
    path: String,
    version: String,
    sum: String,
    replace: Option<Box<Module>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Setting {
    key: String,
    value: String,
}

impl Oracle {
    /// Builds the program with the Go on PATH, or with one from the cache.
    pub fn build() -> Result<Oracle> {
        let (_, root) = golang::installed_or_newest()?;
        let program = machine::cache_dir("corpus")?.join("oracle");
        let mut go = Command::new(root.join("bin/go"));
        go.args(["build", "-o"]).arg(&program).arg(".").current_dir(corpus::source().join("oracle"));
        go.env("GOROOT", &root).env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env("GOWORK", "off");
        go.env("GOCACHE", machine::cache_dir("go-build")?);
        let out = go.output().context("run go")?;
        ensure!(out.status.success(), "go build: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
        Ok(Oracle { program })
    }

    /// Reads a file.
    pub fn read(&self, path: &Path) -> Result<Reading> {
        let out = Command::new(&self.program).arg(path).output().context("run the oracle")?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr).trim());
        let end = out.stdout.iter().position(|&b| b == b'\n').context("the oracle printed nothing")?;
        let head: Head = serde_json::from_slice(&out.stdout[..end]).context("the oracle's first line")?;
        // A reader that found nothing would agree with an analyzer that found nothing.
        ensure!(head.functions > 1000, "the oracle read {} functions only", head.functions);
        ensure!(head.build.is_some() == head.build_error.is_empty(), "{}", head.build_error);
        Ok(Reading { head, text: out.stdout, functions_at: end + 1 })
    }
}

impl Reading {
    /// Entry, end and name of every function, in the table's order.
    pub fn functions(&self) -> impl Iterator<Item = Result<(u64, u64, &[u8])>> {
        let lines = self.text[self.functions_at..].split(|&b| b == b'\n').filter(|l| !l.is_empty());
        lines.map(|line| {
            let mut parts = line.splitn(3, |&b| b == b'\t');
            let mut number = || -> Result<u64> {
                let text = std::str::from_utf8(parts.next().context("a column")?)?;
                Ok(u64::from_str_radix(text, 16)?)
            };
            let (entry, end) = (number()?, number()?);
            Ok((entry, end, parts.next().context("a name")?))
        })
    }
}

/// Whether the analyzer's build information says all that Go's does, and no more.
pub fn same_build(got: Option<&BuildInfo>, want: Option<&Build>) -> Result<()> {
    let (got, want) = match (got, want) {
        (None, None) => return Ok(()),
        (Some(got), Some(want)) => (got, want),
        (got, _) => bail!("build information: the analyzer reads {got:?}, Go the contrary"),
    };
    let equal = |what: &str, got: &str, want: &str| {
        ensure!(got == want, "{what} is {got:?}, Go reads {want:?}");
        Ok(())
    };
    equal("go_version", &got.go_version, &want.go_version)?;
    equal("path", got.path.as_deref().unwrap_or_default(), &want.path)?;
    match &got.main {
        Some(main) => same_module(main, &want.main)?,
        None => equal("the main module", "", &want.main.path)?,
    }
    let deps = want.deps.as_deref().unwrap_or_default();
    ensure!(got.deps.len() == deps.len(), "{} dependencies, Go reads {}", got.deps.len(), deps.len());
    got.deps.iter().zip(deps).try_for_each(|(got, want)| same_module(got, want))?;
    let settings: Vec<_> = want.settings.iter().flatten().map(|s| (s.key.clone(), s.value.clone())).collect();
    ensure!(got.settings == settings, "settings are {:?}, Go reads {settings:?}", got.settings);
    Ok(())
}

fn same_module(got: &BuiltModule, want: &Module) -> Result<()> {
    let key = |path: &str, version: &str, sum: &str| format!("{path} {version} {sum}");
    let (said, read) = (key(&got.path, &got.version, &got.sum), key(&want.path, &want.version, &want.sum));
    ensure!(said == read, "a module is {said}, Go reads {read}");
    match (&got.replaced_by, &want.replace) {
        (None, None) => Ok(()),
        (Some(got), Some(want)) => same_module(got, want).context("the right side of a replacement"),
        (got, want) => bail!("{said} is replaced by {got:?}, Go reads {want:?}"),
    }
}
