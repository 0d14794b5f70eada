//! The corpus: real Go executables from Debian, the npm registry and PyPI, named with their hashes in `corpus/list.tsv`.
//!
//! Files are fetched once by the registries' own clients ([`fetch`]) and kept in the cache, outside the work tree, under
//! their hash. A file counts only when its hash is the list's.

mod fetch;

use std::fs;
use std::path::{Path, PathBuf};

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

/// A file that is there, or why not.
#[derive(Debug)]
pub enum Fetched {
    /// Where it is.
    File(PathBuf),
    /// The suite has another version by now.
    Gone(String),
}

impl Entry {
    /// Package, build and program, for people.
    pub fn name(&self) -> String {
        let program = self.path.rsplit('/').next().unwrap_or(&self.path);
        let build = if self.build == "-" { String::new() } else { format!(" {}", self.build) };
        format!("{program} ({} {}{build})", self.package, self.version)
    }

    fn parse(line: &str) -> Result<Entry> {
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

    fn same_package(&self, other: &Entry) -> bool {
        let key = |e: &Entry| (e.package.clone(), e.version.clone(), e.build.clone());
        self.registry == other.registry && key(self) == key(other)
    }

    fn cached(&self) -> Result<PathBuf> {
        Ok(folder()?.join(&self.sha256))
    }

    /// Whether the bytes are the list's.
    fn verify(&self, bytes: &[u8]) -> Result<()> {
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

/// The folder of the list and of the oracle's source.
pub fn source() -> PathBuf {
    machine::workspace().join("tests/corpus")
}

/// Reads the list.
pub fn list() -> Result<Vec<Entry>> {
    let path = source().join("list.tsv");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, l)| !l.starts_with('#') && !l.is_empty());
    lines.map(|(i, l)| Entry::parse(l).with_context(|| format!("{}:{}", path.display(), i + 1))).collect()
}

/// All files of the list, those that are not in the cache fetched first.
pub fn all() -> Result<Vec<(Entry, Fetched)>> {
    let entries = list()?;
    let mut out: Vec<(Entry, Fetched)> = Vec::new();
    for entry in &entries {
        if out.iter().any(|(e, _)| e.same_package(entry)) {
            continue;
        }
        let siblings: Vec<&Entry> = entries.iter().filter(|e| e.same_package(entry)).collect();
        for (sibling, fetched) in package(&siblings)? {
            out.push((sibling.clone(), fetched));
        }
    }
    Ok(out)
}

/// A file that is not of the list, fetched and kept in the same way.
pub fn one(entry: &Entry) -> Result<PathBuf> {
    match package(&[entry])?.pop() {
        Some((_, Fetched::File(path))) => Ok(path),
        Some((_, Fetched::Gone(why))) => anyhow::bail!("{}: {why}", entry.name()),
        None => anyhow::bail!("{}: not fetched", entry.name()),
    }
}

/// The files of one package.
fn package<'a>(entries: &[&'a Entry]) -> Result<Vec<(&'a Entry, Fetched)>> {
    let there = || entries.iter().map(|e| Ok((*e, Fetched::File(e.cached()?)))).collect();
    if missing(entries)?.is_empty() {
        return there();
    }
    // Tests run side by side, and apt-get locks its lists: one fetches, the others find what it has fetched.
    let path = folder()?.join("lock");
    let lock = fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
    lock.lock().with_context(|| format!("lock {}", path.display()))?;
    let missing = missing(entries)?;
    let Some(first) = missing.first() else { return there() };
    let work = tempfile::tempdir_in(folder()?)?;
    let archive = fetch::archive(first, work.path()).with_context(|| first.name())?;
    if let fetch::Archive::Gone(why) = &archive {
        return Ok(entries.iter().map(|e| (*e, Fetched::Gone(why.clone()))).collect());
    }
    for entry in missing {
        keep(entry, &archive, work.path()).with_context(|| entry.name())?;
    }
    there()
}

/// Those that are not in the cache. A file there that is not the list's is an error.
fn missing<'a>(entries: &[&'a Entry]) -> Result<Vec<&'a Entry>> {
    let mut missing = Vec::new();
    for entry in entries {
        let path = entry.cached()?;
        match fs::read(&path) {
            Ok(bytes) => entry.verify(&bytes).with_context(|| format!("remove {}", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push(*entry),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        }
    }
    Ok(missing)
}

fn keep(entry: &Entry, archive: &fetch::Archive, work: &Path) -> Result<()> {
    let bytes = archive.file(&entry.path)?;
    entry.verify(&bytes)?;
    let partial = work.join(&entry.sha256);
    fs::write(&partial, bytes).with_context(|| format!("write {}", partial.display()))?;
    let path = entry.cached()?;
    fs::rename(&partial, &path).with_context(|| format!("rename to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_well_formed_and_names_each_file_once() {
        let entries = list().expect("the list");
        assert!(entries.len() >= 40);
        for (i, entry) in entries.iter().enumerate() {
            assert_eq!(entry.sha256.len(), 64, "{}", entry.name());
            assert!(entries.iter().skip(i + 1).all(|e| e.sha256 != entry.sha256), "{}", entry.name());
        }
    }
}
