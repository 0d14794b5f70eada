//! Which file, exactly: a probe belongs to an inode, and an inode's content can change (house.md, decision 10).

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::PathBuf,
};

use analyzer::plan::Site;
use serde::{Deserialize, Serialize};

/// The content of one file, as far as the kernel tells: equal means that nothing was written in between.
///
/// It decides whether a Plan may be used again, and nothing else: chmod, chown, ln and rename change it too, while the inode,
/// and so the probes in it, stay. Which file it is of is not in here, since stat(2) shows another inode in every overlay mount:
/// that is told by the inode that the kernel probes ([`crate::discover::KernelInode`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileIdentity {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    /// Of an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    /// Of an open file, by its descriptor.
    pub fn of_descriptor(file: BorrowedFd<'_>) -> io::Result<Self> {
        Self::of(&File::from(file.try_clone_to_owned()?))
    }

    /// Does nothing but the change time tell the two apart? That is what chmod, chown, ln and rename leave behind, and a write
    /// whose times were put back.
    pub fn is_unwritten_since(&self, before: &Self) -> bool {
        Self { changed: before.changed, ..*self } == *before
    }

    /// No file's: what could not be read is equal to nothing that was.
    pub fn unknown() -> Self {
        Self { size: u64::MAX, modified: (-1, -1), changed: (-1, -1) }
    }

    /// The same with another change time, as chmod leaves it.
    #[cfg(test)]
    pub fn touched(self) -> Self {
        Self { changed: (self.changed.0 + 1, 0), ..self }
    }

    /// One that is not any file's, for tests of what is decided by identities.
    #[cfg(test)]
    pub fn numbered(content: u64) -> Self {
        let time = (i64::try_from(content).unwrap_or(0), 0);
        Self { size: content, modified: time, changed: time }
    }
}

/// The path by which the kernel finds an open file, whatever happens to its name.
pub fn descriptor_path(file: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// The same file, opened once more: flags and leases of the one are not the other's.
pub fn reopen(file: &impl AsRawFd) -> io::Result<OwnedFd> {
    Ok(File::open(descriptor_path(file))?.into())
}

/// The instruction at a site is not the one that was planned.
#[derive(Debug, thiserror::Error)]
#[error("the bytes at file offset {file_offset} are {found}, the plan says {planned}: the file has changed")]
pub struct Changed {
    file_offset: u64,
    planned: String,
    found: String,
}

/// Compares a site's bytes with the file, just before the probe goes there.
pub fn check_site(file: &File, site: &Site) -> anyhow::Result<()> {
    check_bytes(file.as_fd(), site.file_offset, &site.bytes)
}

/// Compares the bytes at an offset with planned ones, in hexadecimal.
pub fn check_bytes(file: BorrowedFd<'_>, file_offset: u64, planned: &str) -> anyhow::Result<()> {
    let mut bytes = vec![0; planned.len() / 2];
    File::from(file.try_clone_to_owned()?).read_exact_at(&mut bytes, file_offset)?;
    let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if found == planned && !bytes.is_empty() {
        return Ok(());
    }
    Err(Changed { file_offset, planned: planned.to_owned(), found }.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use analyzer::plan::{Cost, When};

    use super::*;

    #[test]
    fn overwriting_in_place_changes_the_identity_and_the_site() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(b"\x55\x48\x89\xe5").expect("written");
        let open = File::open(file.path()).expect("opened");
        let before = FileIdentity::of(&open).expect("identity");
        let site = Site {
            vaddr: 0,
            file_offset: 0,
            bytes: "55".into(),
            when: When::Entry,
            cost: Cost::Emulated,
            select_cases: None,
        };
        check_site(&open, &site).expect("as planned");
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(file.path(), b"\x90\x90\x90\x90").expect("overwritten");
        assert_ne!(FileIdentity::of(&open).expect("identity"), before);
        assert!(
            check_site(&open, &site).expect_err("changed").to_string().contains("are 90, the plan says 55")
        );
    }
}
