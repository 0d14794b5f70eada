//! A folder of database files, as the commands that read and compare them need it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use offsets::Database;
use offsets::database::format::{Document, INDEX};

use crate::progress::Progress;

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

/// Two runs in one folder would undo each other's work: the second waits.
pub fn lock(folder: &Path, progress: &Progress) -> Result<File> {
    let file = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    if file.try_lock().is_err() {
        progress.say(&format!("note: another offsetgen works in {}; waiting for it", folder.display()));
        file.lock().with_context(|| format!("cannot lock {}", folder.display()))?;
    }
    Ok(file)
}
