//! Unpacks a module's zip whose hash is known to be right, and still trusts no name in it.
//!
//! Refused: a name outside the module's own prefix, absolute, with `.` or `..` or empty parts, with a backslash or NUL;
//! anything but plain files and folders; more than `dirhash`'s limits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::dirhash::{FILES_LIMIT, TOTAL_LIMIT};

/// Unpacks what lies below `prefix` into the new folder `target`.
pub fn unpack(zip: &Path, prefix: &str, target: &Path) -> Result<()> {
    let file = File::open(zip).with_context(|| format!("cannot open {}", zip.display()))?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).context("is no whole zip file")?;
    if archive.len() > FILES_LIMIT {
        bail!("{} holds more than {FILES_LIMIT} files", zip.display());
    }
    fs::create_dir(target).with_context(|| format!("cannot create {}", target.display()))?;
    let mut left = TOTAL_LIMIT;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).with_context(|| format!("{} is damaged", zip.display()))?;
        let name =
            entry.name().with_context(|| format!("{} has a file whose name is not text", zip.display()))?;
        let name = name.into_owned();
        if entry.is_symlink() {
            bail!("{}: {name:?} is a symbolic link: refused", zip.display());
        }
        let path = inside(&name, prefix).with_context(|| format!("{}: {name:?}", zip.display()))?;
        let path = target.join(path);
        if entry.is_dir() {
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        } else {
            let written =
                write(&mut entry, &path, left).with_context(|| format!("cannot write {}", path.display()))?;
            left = left
                .checked_sub(written)
                .with_context(|| format!("{} unpacks to too much", zip.display()))?;
        }
    }
    Ok(())
}

fn write(entry: &mut impl Read, path: &Path, limit: u64) -> io::Result<u64> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    io::copy(&mut entry.take(limit.saturating_add(1)), &mut file)
}

/// The path below the prefix, if it stays there.
fn inside(name: &str, prefix: &str) -> Result<PathBuf> {
    let Some(rest) = name.strip_prefix(prefix) else { bail!("is outside of {prefix}: refused") };
    if rest.contains(['\\', '\0']) {
        bail!("has a backslash or a NUL in its name: refused");
    }
    let parts = rest.trim_end_matches('/');
    if parts.is_empty() || parts.split('/').any(|part| matches!(part, "" | "." | "..")) {
        bail!("leads out of its folder: refused");
    }
    Ok(PathBuf::from(parts))
}

#[cfg(test)]
mod tests {
    use super::super::dirhash;
    use super::*;

    fn zip_with(names: &[&str]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut writer = zip::ZipWriter::new(file.reopen().expect("opens"));
        for name in names {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).expect("starts");
            io::Write::write_all(&mut writer, b"content").expect("writes");
        }
        writer.finish().expect("finishes");
        file
    }

    #[test]
    fn plain_files_are_unpacked() {
        let (zip, folder) = (zip_with(&["m@v1/a", "m@v1/b/c"]), tempfile::tempdir().expect("a folder"));
        let target = folder.path().join("out");
        unpack(zip.path(), "m@v1/", &target).expect("unpacks");
        assert_eq!(fs::read(target.join("b/c")).expect("reads"), b"content");
        assert!(dirhash::of_zip(zip.path()).expect("hashes").starts_with("h1:"));
    }

    #[test]
    fn escapes_are_refused() {
        for name in ["m@v1/../x", "/etc/x", "other/x", "m@v1//x", "m@v1/a/./x", "m@v1/a\\..\\x", "m@v1/"] {
            let (zip, folder) = (zip_with(&[name]), tempfile::tempdir().expect("a folder"));
            let error = unpack(zip.path(), "m@v1/", &folder.path().join("out")).expect_err(name);
            assert!(format!("{error:#}").contains("refused"), "{name}: {error:#}");
            assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "{name}");
        }
    }
}
