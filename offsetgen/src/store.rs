//! Files that are whole or not there: written beside their place, synced, then renamed into it.
//!
//! An interruption at any moment, or a full disk, leaves the previous file; at worst a stray temporary one, which the
//! next write of that file removes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Puts `bytes` at `path`, all or nothing.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let temporary = folder.join(name);
    let result = write_and_rename(&temporary, path, folder, bytes);
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.with_context(|| format!("cannot write {}; the previous one is as it was", path.display()))
}

fn write_and_rename(temporary: &Path, path: &Path, folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

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
