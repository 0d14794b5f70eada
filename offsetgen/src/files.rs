//! Files that are whole or not there: written beside their place, synced, then renamed into it.
//!
//! An interruption at any moment, or a full disk, leaves the previous file; at worst, after a kill -9, a stray `.new-*`.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Puts `bytes` at `path`, all or nothing.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let result = write_and_rename(path, folder, bytes);
    result.with_context(|| format!("cannot write {}; the previous one is as it was", path.display()))
}

/// The temporary file has a name of its own: two runs may write the same file at once, and the later one stays.
fn write_and_rename(path: &Path, folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_writers_do_not_meet() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("std.json");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| write_atomically(&path, b"text").expect("written")));
            }
        });
        assert_eq!(fs::read(&path).expect("read"), b"text");
    }

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/std.json");
        for text in ["one", "two"] {
            write_atomically(&path, text.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("read"), text);
        }
        let names: Vec<_> = fs::read_dir(folder.path().join("deep")).expect("listed").collect();
        assert_eq!(names.len(), 1);
    }
}
