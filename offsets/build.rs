//! Finds the catalog's and the database's files, so that a new library is a file and no line of Rust; and reads the catalog with the
//! modules of the crate itself, so that no program that links it has to: postcard is what they are embedded in.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use database::format::Document;
use sha2::{Digest, Sha256};
use version::Version;

// What reads the catalog and the database is compiled into this program too.
#[path = "src/abi/mod.rs"]
#[expect(dead_code, reason = "the crate uses what this program does not")]
mod abi;
#[path = "src/catalog"]
mod catalog {
    #![expect(dead_code, reason = "as above")]

    mod entry;
    mod error;
    mod limits;
    mod load;
    mod operation;
    mod range;
    mod raw;
    mod reader;
    mod role;
    mod site;
    mod types;
    mod values;

    pub use entry::Status;
    pub use load::load_dir;
}
#[path = "src/database"]
mod database {
    #![expect(dead_code, reason = "as above")]

    use std::error::Error;

    mod answer;
    mod axes;
    mod block;
    mod error;
    pub mod format;
    mod index;

    /// A document as the crate embeds it.
    pub fn compact(file: &str, document: &format::Document) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(postcard::to_allocvec(&index::Index::new(file, document)?)?)
    }
}
#[path = "src/later.rs"]
mod later;
#[path = "src/names.rs"]
#[expect(dead_code, reason = "as above")]
mod names;
#[path = "src/printable.rs"]
mod printable;
#[path = "src/version.rs"]
#[expect(dead_code, reason = "as above")]
mod version;

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=catalog");
    println!("cargo::rerun-if-changed=data");
    println!("cargo::rerun-if-changed=src");
    let catalog = root.join("catalog");
    let entries = out.join("catalog.postcard");
    fs::write(&entries, embedded(&catalog)?)?;
    let entries = format!("const ENTRIES: &[u8] = include_bytes!({:?});\n", entries.display().to_string());
    fs::write(out.join("catalog.rs"), list(&catalog.join("targets"), "go", "TARGETS")? + &entries)?;
    let data = root.join("data");
    let digest = format!("const DIGEST: &str = {:?};\n", digest(&data)?);
    fs::write(out.join("data.rs"), list(&data, "json", "DATA")? + &digest + &compacted(&data, &out)?)
}

/// The catalog's entries as the crate decodes them, those that are traced first.
fn embedded(folder: &Path) -> io::Result<Vec<u8>> {
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, fs::read_to_string(&path)?))
    };
    let texts: Vec<(String, String)> =
        files(folder, "toml")?.into_iter().map(read).collect::<io::Result<_>>()?;
    let mut entries =
        catalog::load_dir(texts.iter().map(|(name, text)| (&**name, &**text))).map_err(io::Error::other)?;
    entries.sort_by_key(|entry| entry.status == catalog::Status::Recorded);
    postcard::to_allocvec(&entries).map_err(io::Error::other)
}

/// `const COMPACT: &[(&str, &[u8])]`: each module's name, and its embedded form (src/database/index.rs).
fn compacted(folder: &Path, out: &Path) -> io::Result<String> {
    let mut text = "const COMPACT: &[(&str, &[u8])] = &[\n".to_owned();
    for path in files(folder, "json")? {
        let file = path.display().to_string();
        let document = Document::parse(&file, &fs::read_to_string(&path)?).map_err(io::Error::other)?;
        let target = out.join(path.with_extension("postcard").file_name().unwrap_or_default());
        fs::write(&target, database::compact(&file, &document).map_err(io::Error::other)?)?;
        let module = &document.module;
        let _ = writeln!(text, "    ({module:?}, include_bytes!({:?})),", target.display().to_string());
    }
    Ok(text + "];\n")
}

/// The digest that `Database::digest` gives for the files of a folder; a test compares the two.
fn digest(folder: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut paths = files(folder, "json")?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for part in [name.into_bytes(), fs::read(&path)?] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(hash.finalize().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}")))
}

/// What offsetgen says of the files of `data/` in one: no module's document. `format::INDEX` is the same name.
const INDEX: &str = "index.json";

/// A folder's files with that extension, by the name without it; but for the index of the data.
fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|own| own == extension));
    files.retain(|path| path.file_name().is_none_or(|name| name != INDEX));
    files.sort_by_key(|path| path.file_stem().map(ToOwned::to_owned));
    Ok(files)
}

/// `const NAME: &[(&str, &str)]`: each file's name and text, by the name without its extension.
fn list(folder: &Path, extension: &str, name: &str) -> io::Result<String> {
    let mut text = format!("const {name}: &[(&str, &str)] = &[\n");
    for path in files(folder, extension)? {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _ = writeln!(text, "    ({file:?}, include_str!({:?})),", path.display().to_string());
    }
    text.push_str("];\n");
    Ok(text)
}
