//! A line of the list, and where its file is kept.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::{machine, spans};

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who has it.
    pub registry: Registry,
    /// The package's name there.
    pub package: String,
    /// Its version.
    pub version: String,
    /// PyPI: the machine; Debian: suite/architecture; npm: nothing.
    pub build: String,
    /// The file inside the package.
    pub path: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Package registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// Debian's archive: a suite moves on, and then a version is gone.
    Debian,
    /// The npm registry.
    Npm,
    /// PyPI.
    Pypi,
}

impl Entry {
    /// Package, build and program, for people.
    pub fn name(&self) -> String {
        let program = self.path.rsplit('/').next().unwrap_or(&self.path);
        let build = if self.build == "-" { String::new() } else { format!(" {}", self.build) };
        format!("{program} ({} {}{build})", self.package, self.version)
    }

    pub(super) fn parse(line: &str) -> Result<Entry> {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[registry, package, version, build, path, sha256, size] = columns.as_slice() else {
            anyhow::bail!("{} columns, not 7", columns.len());
        };
        let registry = match registry {
            "debian" => Registry::Debian,
            "npm" => Registry::Npm,
            "pypi" => Registry::Pypi,
            other => anyhow::bail!("no such registry: {other}"),
        };
        let [package, version, build] = [package, version, build].map(str::to_owned);
        let [path, sha256] = [path, sha256].map(str::to_owned);
        Ok(Entry { registry, package, version, build, path, sha256, size: size.parse().context("size")? })
    }

    pub(super) fn same_package(&self, other: &Entry) -> bool {
        let key = |e: &Entry| (e.package.clone(), e.version.clone(), e.build.clone());
        self.registry == other.registry && key(self) == key(other)
    }

    pub(super) fn cached(&self) -> Result<PathBuf> {
        Ok(folder()?.join(&self.sha256))
    }

    /// Whether the bytes are the list's.
    pub(super) fn verify(&self, bytes: &[u8]) -> Result<()> {
        let found = spans::hex(&Sha256::digest(bytes));
        ensure!(
            found == self.sha256,
            "{}: its SHA-256 is {found}, the list has {}",
            self.name(),
            self.sha256
        );
        Ok(())
    }
}

/// Where fetched files are kept.
pub fn folder() -> Result<PathBuf> {
    let folder = machine::cache()?.join("corpus");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}
