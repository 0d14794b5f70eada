//! Compiles the catalog's probe targets with one toolchain for one architecture.
//!
//! Each target is a `main` package of its own in one throwaway module, so that one `go build` makes them all and their
//! common packages are compiled once. The compiler gets no flags: what it lays out is what users' builds have.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use offsets::Version;
use offsets::catalog::Entry;

use crate::toolchain::{Toolchain, go_environment};

/// Programs, and the folder that they and their sources live in until it is dropped.
pub struct Programs {
    /// One per distinct target.
    pub files: Vec<PathBuf>,
    _folder: tempfile::TempDir,
}

/// Compiles what the entries that cover this version need.
pub fn compile(
    entries: &[Entry],
    version: &Version,
    toolchain: &Toolchain,
    arch: &str,
    cache: &Path,
) -> Result<Programs> {
    let scratch = cache.join("tmp");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let folder = tempfile::Builder::new().prefix("target-").tempdir_in(&scratch);
    let folder = folder.with_context(|| format!("cannot create a folder in {}", scratch.display()))?;
    let names = write_sources(entries, version, folder.path())?;
    let out = folder.path().join("out");
    fs::create_dir(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut command = go_environment(&toolchain.goroot.join("bin/go"), cache);
    command.current_dir(folder.path()).env("GOROOT", &toolchain.goroot).env("GOPROXY", "off");
    command.env("GOOS", "linux").env("GOARCH", arch);
    command.args(["build", "-trimpath", "-o"]).arg(format!("{}/", out.display()));
    command.args(names.iter().map(|name| format!("./{name}")));
    let output =
        command.output().with_context(|| format!("cannot run {}/bin/go", toolchain.goroot.display()))?;
    if !output.status.success() {
        bail!("go build: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(Programs { files: names.iter().map(|name| out.join(name)).collect(), _folder: folder })
}

fn write_sources(entries: &[Entry], version: &Version, folder: &Path) -> Result<Vec<String>> {
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let [major, minor, _] = version.release();
    write(&folder.join("go.mod"), &format!("module probe\n\ngo {major}.{minor}\n"))?;
    let (mut names, mut sources) = (Vec::new(), Vec::new());
    for entry in entries.iter().filter(|entry| entry.versions.contains(version)) {
        if sources.contains(&&entry.target.source) {
            continue;
        }
        sources.push(&entry.target.source);
        let name = format!("target{}", names.len());
        let package = folder.join(&name);
        fs::create_dir(&package).with_context(|| format!("cannot create {}", package.display()))?;
        write(&package.join("main.go"), &entry.target.source)?;
        names.push(name);
    }
    if names.is_empty() {
        bail!("no entry of the catalog covers {version}");
    }
    Ok(names)
}
