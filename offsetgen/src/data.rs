//! A folder of database files, as the commands that read and compare them need it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use offsets::Database;
use offsets::database::format::{Document, INDEX};
use offsets::database::unknown;

/// Every `*.json` of a folder but its index: name and text, by name.
pub fn texts(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let context = || format!("cannot read the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension().is_some_and(|extension| extension == "json") && !path.ends_with(INDEX) {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}

/// A folder as a database.
pub fn database(folder: &Path) -> Result<Database> {
    let files = texts(folder)?;
    Ok(Database::from_json(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?)
}

/// A folder's documents by module, each checked.
pub fn documents(folder: &Path) -> Result<BTreeMap<String, Document>> {
    let database = database(folder)?;
    let documents = database.modules().filter_map(|module| database.document(module));
    Ok(documents.map(|document| (document.module.clone(), document.clone())).collect())
}

/// An error if a document that is to be written again has keys that this program does not know: they would be lost.
pub fn refuse_newer(name: &str, text: &str) -> Result<()> {
    let keys = unknown::keys(name, text)?;
    let first = keys.first().map(String::as_str).unwrap_or_default();
    ensure!(
        keys.is_empty(),
        "{name}: {first} is a key that this offsetgen {} does not know and would lose ({} in all); the file is as it was. Use \
         the offsetgen that has written it",
        env!("CARGO_PKG_VERSION"),
        keys.len()
    );
    Ok(())
}
