//! The user's own catalog: a folder of TOML files, read once at the start of a program.
//!
//! Whoever names the folder need not have written it, so its files are opened as if they were hostile: what is no regular file
//! is not read, and no more than the limit is, whatever length a file claims.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use offsets::catalog::{self, CatalogError, Entry};

/// Most bytes of all its files together. The largest embedded one has 20 KB.
const MAX_BYTES: u64 = 1 << 20;
/// Most files: an empty one has no bytes, and takes time all the same.
const MAX_FILES: usize = 1000;

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
    /// There are more than anybody writes.
    #[error("{}: more than {MAX_FILES} .toml files", .0.display())]
    TooMany(PathBuf),
    /// A file is none of a catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// The files of a folder whose names end in `.toml`, sorted: path and text. Hidden ones are passed over: editors keep their
/// unfinished copies so.
pub fn read(folder: &Path) -> Result<Vec<(String, String)>, OwnError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| OwnError::Unreadable { path, source }
    };
    let mut paths = Vec::new();
    for file in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = file.map_err(unreadable(folder))?.path();
        if is_entry(&path) {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(OwnError::TooMany(folder.to_owned()));
        }
    }
    paths.sort();
    let (mut files, mut left) = (Vec::new(), MAX_BYTES);
    for path in paths {
        let text = text(&path, left).map_err(unreadable(&path))?;
        left = left.checked_sub(text.len() as u64).ok_or_else(|| OwnError::TooLarge(folder.to_owned()))?;
        files.push((path.display().to_string(), text));
    }
    if files.is_empty() { Err(OwnError::Empty(folder.to_owned())) } else { Ok(files) }
}

/// Whether a file of the folder is one of the catalog, by its name.
fn is_entry(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "toml")
}

/// The text of a regular file, or of what a link to one leads to: its first `limit` bytes, and one more where it is longer.
fn text(path: &Path, limit: u64) -> io::Result<String> {
    // Opening a FIFO waits for its writer, unless one asks not to.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    // Files in /proc say that they have no bytes, so no length is believed.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // The limit may have cut a character in two; what is too long is said to be that.
        Err(error) if error.as_bytes().len() as u64 > limit => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.utf8_error())),
    }
}

/// The embedded catalog with these files' entries behind it, for the rest of the program's life.
pub fn entries(files: &[(String, String)]) -> Result<&'static [Entry], OwnError> {
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Ok(Box::leak(catalog::with_own(files)?.into_boxed_slice()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn said(folder: &Path) -> String {
        read(folder).expect_err("no catalog").to_string()
    }

    #[test]
    fn only_regular_files_are_read_and_a_link_may_lead_to_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.toml");
        for special in ["/dev/zero", "/proc/self/fd"] {
            symlink(special, &path).expect("linked");
            assert!(said(folder.path()).ends_with("x.toml: not a regular file"), "{special}");
            fs::remove_file(&path).expect("removed");
        }
        // Nobody ever writes into it.
        let fifo = std::ffi::CString::new(path.to_str().expect("UTF-8")).expect("no zero in it");
        // SAFETY: the path is a string that ends in zero.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        assert!(said(folder.path()).ends_with("x.toml: not a regular file"));
        fs::remove_file(&path).expect("removed");
        fs::write(folder.path().join("real"), "id = 1").expect("written");
        symlink("real", &path).expect("linked");
        assert_eq!(read(folder.path()).expect("read").len(), 1);
    }

    #[test]
    fn no_more_is_read_than_the_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let half = "é".repeat(MAX_BYTES as usize / 4);
        fs::write(folder.path().join("a.toml"), &half).expect("written");
        fs::write(folder.path().join("b.toml"), &half).expect("written");
        assert_eq!(read(folder.path()).expect("just as much").len(), 2);
        fs::write(folder.path().join("c.toml"), "é").expect("written");
        assert!(said(folder.path()).contains("more than 1048576 bytes"));
        // A file that goes on without an end in sight, whose length the kernel gives as 0.
        let endless = Path::new("/proc/kallsyms");
        assert_eq!(text(endless, 100).expect("read").len(), 101);
        let many = tempfile::tempdir().expect("a folder");
        for i in 0..=MAX_FILES {
            fs::write(many.path().join(format!("{i}.toml")), "").expect("written");
        }
        assert!(said(many.path()).contains("more than 1000 .toml files"));
    }

    #[test]
    fn hidden_files_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(".mine.toml"), "unfinished").expect("written");
        assert!(said(folder.path()).contains("no .toml file in it"));
    }
}
