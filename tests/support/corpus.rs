//! The corpus: real Go executables from Debian, the npm registry and PyPI, named with their hashes in `corpus/list.tsv`.
//!
//! Files are fetched once by the registries' own clients ([`fetch`]) and kept in the cache, outside the work tree, under
//! their hash. A file counts only when its hash is the list's.

mod entry;
mod fetch;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::machine;
pub use entry::{Entry, Registry, folder};

/// A file that is there, or why not.
#[derive(Debug)]
pub enum Fetched {
    /// Where it is.
    File(PathBuf),
    /// The suite has another version by now.
    Gone(String),
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
