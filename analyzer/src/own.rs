//! The user's own catalog: a folder of TOML files, read once at the start of a program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use offsets::catalog::{self, CatalogError, Entry};

/// Most bytes of all its files together. The largest embedded one has 20 KB.
const MAX_BYTES: u64 = 1 << 20;

/// Why a folder is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// It or one of its files cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no file in it whose name ends in `.toml`.
    #[error("{}: no .toml file in it", .0.display())]
    Empty(PathBuf),
    /// There is more than anybody writes.
    #[error("{}: more than {MAX_BYTES} bytes of .toml files", .0.display())]
    TooLarge(PathBuf),
    /// A file is none of a catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// The files of a folder whose names end in `.toml`, sorted: path and text.
pub fn read(folder: &Path) -> Result<Vec<(String, String)>, OwnError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| OwnError::Unreadable { path, source }
    };
    let mut paths = Vec::new();
    for file in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = file.map_err(unreadable(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let (mut files, mut total) = (Vec::new(), 0);
    for path in paths {
        total += fs::metadata(&path).map_err(unreadable(&path))?.len();
        if total > MAX_BYTES {
            return Err(OwnError::TooLarge(folder.to_owned()));
        }
        let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
        files.push((path.display().to_string(), text));
    }
    if files.is_empty() { Err(OwnError::Empty(folder.to_owned())) } else { Ok(files) }
}

/// The embedded catalog with these files' entries behind it, for the rest of the program's life.
pub fn entries(files: &[(String, String)]) -> Result<&'static [Entry], OwnError> {
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Ok(Box::leak(catalog::with_own(files)?.into_boxed_slice()))
}
