//! The catalog as its files have it, with the operations that no program embeds.

use std::fs;

use anyhow::{Context, Result};
use offsets::catalog::{Entry, Operation, Status, load_dir};

use crate::machine;

/// Every entry of a library that is traced, in the order of their files.
pub fn traced() -> Result<Vec<Entry>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(machine::workspace().join("offsets/catalog")).context("the catalog")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(&path).with_context(|| path.display().to_string())?));
        }
    }
    files.sort();
    let mut entries = load_dir(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
    entries.retain(|entry| entry.status == Status::Instrumented);
    Ok(entries)
}

/// The operations of a library, by its id. What several packages have of it is the same in each.
pub fn operations<'a>(entries: &'a [Entry], id: &str) -> &'a [Operation] {
    entries.iter().find(|entry| entry.id == id).map_or(&[], |entry| &entry.operations)
}
