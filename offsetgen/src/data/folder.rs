//! A folder of database files, as the commands that read and compare them need it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use offsets::Database;
use offsets::database::format::{Document, file_name};

use super::{index, listing};
use crate::progress::Progress;

/// A folder's files by name, name and text, and the database that they make. Where the folder has an index, they are those that it
/// lists; without one they are read as they are.
pub fn checked(folder: &Path) -> Result<(Vec<(String, String)>, Database)> {
    let files = listing::texts(folder)?;
    let database = Database::from_json(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
    for (name, text) in &files {
        let module = listing::module(name, text)?;
        let file = listing::last(name);
        // Folders that were written before underlines were told apart keep their names.
        ensure!(
            file == file_name(&module) || file == format!("{}.json", module.replace('/', "_")),
            "{name}: it has the data of {module} in it, whose file is {}",
            file_name(&module)
        );
    }
    index::hold(folder, &files, database.digest())?;
    Ok((files, database))
}

/// A folder as a database. One without any data is an error: it is the wrong folder.
pub fn database(folder: &Path) -> Result<Database> {
    let (files, database) = checked(folder)?;
    ensure!(!files.is_empty(), "no data in {}: it has no MODULE.json", folder.display());
    Ok(database)
}

/// A folder's documents by module, each checked.
pub fn documents(folder: &Path) -> Result<BTreeMap<String, Document>> {
    let (_, database) = checked(folder)?;
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
