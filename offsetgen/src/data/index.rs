//! The index of a folder of data: which documents there are, which versions each has, and how to tell that they are the ones.
//!
//! It is written with each document, from what lies in the folder then; docs/database.md is its reference. Programs that read
//! documents pass over it; offsetgen holds the files against it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use offsets::Database;
use offsets::database::format::{DATA_ID, INDEX, LICENSE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::listing;
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

/// What is read of an index; later versions add keys.
#[derive(Deserialize)]
struct Index {
    schema_version: u64,
    digest: String,
    modules: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    file: String,
    sha256: String,
}

/// An error where a folder has an index and its files are not those: name and text, and the digest of all.
pub fn hold(folder: &Path, files: &[(String, String)], digest: &str) -> Result<()> {
    let path = folder.join(INDEX);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    same(&text, files, digest).with_context(|| {
        format!(
            "{} does not fit the files beside it (after a change on purpose remove it, and `offsetgen merge` writes it anew; a build that was killed is to be run again)",
            path.display()
        )
    })
}

fn same(index: &str, files: &[(String, String)], digest: &str) -> Result<()> {
    let index: Index = serde_json::from_str(index).context("it is no index")?;
    let found = index.schema_version;
    ensure!(found == SCHEMA_VERSION, "its schema_version is {found}, this program reads {SCHEMA_VERSION}");
    let mut listed: BTreeMap<&str, &str> =
        index.modules.iter().map(|one| (one.file.as_str(), one.sha256.as_str())).collect();
    for (name, text) in files {
        let file = listing::last(name);
        let known = listed.remove(file).with_context(|| format!("it does not list {file}"))?;
        ensure!(known == hex(&Sha256::digest(text)), "the sha256 of {file} is another");
    }
    if let Some(file) = listed.keys().next() {
        bail!("it lists {file}, which is not there");
    }
    ensure!(index.digest == digest, "its digest is not that of the files");
    Ok(())
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
    let files = listing::texts(of)?;
    let database = Database::from_json(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
    let mut modules = Vec::new();
    for (name, text) in &files {
        // The file's name need not be made of the module's.
        let module = listing::module(name, text)?;
        let document = database.document(&module).with_context(|| format!("{name}: not read"))?;
        let versions = document.versions.iter().map(|tested| tested.version.as_str()).collect();
        let file = listing::last(name);
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
