//! The index of a folder of data: which documents there are, which versions each has, and how to tell that they are the ones.
//!
//! It is written with each document, from what lies in the folder then; docs/database.md is its reference. Programs that read
//! documents pass over it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use offsets::Database;
use offsets::database::format::{DATA_ID, INDEX, LICENSE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::folder;
use crate::files::write_atomically;
use crate::hex::hex;

/// `$id` of `offsets/index.schema.json`.
const SCHEMA_ID: &str = "https://github.com/strobe-tracing/strobe/offsets/index-schema/1";
/// The version of the index's layout; that of the documents is another.
const SCHEMA_VERSION: u64 = 1;

#[derive(Serialize)]
struct Module<'a> {
    module: &'a str,
    file: &'a str,
    sha256: String,
    versions: Vec<&'a str>,
}

/// What tells whose a document is.
#[derive(Deserialize)]
struct Named {
    module: String,
}

/// Writes the index of a folder unless it is there already.
pub fn write(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let path = folder.join(INDEX);
    let text = text(folder).with_context(|| format!("cannot write {}", path.display()))?;
    if fs::read(&path).is_ok_and(|bytes| bytes == text.as_bytes()) {
        return Ok(());
    }
    write_atomically(&path, text.as_bytes())
}

fn text(of: &Path) -> Result<String> {
    let files = folder::texts(of)?;
    let database = Database::from_json(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
    let mut modules = Vec::new();
    for (name, text) in &files {
        // The file's name need not be made of the module's.
        let Named { module } = serde_json::from_str(text).with_context(|| name.clone())?;
        let document = database.document(&module).with_context(|| format!("{name}: not read"))?;
        let versions = document.versions.iter().map(|tested| tested.version.as_str()).collect();
        let file = name.rsplit('/').next().unwrap_or_default();
        modules.push(Module { module: &document.module, file, sha256: hex(&Sha256::digest(text)), versions });
    }
    modules.sort_by_key(|one| one.module);
    let mut out = "{\n".to_owned();
    let _ = writeln!(out, "  \"$schema\": \"{SCHEMA_ID}\",");
    let _ = writeln!(out, "  \"$id\": \"{DATA_ID}{INDEX}\",");
    let _ = writeln!(out, "  \"license\": \"{LICENSE}\",");
    let _ = writeln!(out, "  \"schema_version\": {SCHEMA_VERSION},");
    let _ = writeln!(out, "  \"digest\": \"{}\",", database.digest());
    let lines: Vec<String> = modules.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let _ = writeln!(out, "  \"modules\": [\n    {}\n  ]\n}}", lines.join(",\n    "));
    Ok(out)
}
