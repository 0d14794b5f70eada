//! Which file, exactly: a probe belongs to an inode, and an inode's content can change (house.md, decision 10).

use std::{
    fs::{File, Metadata},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::PathBuf,
};

use analyzer::plan::Site;

use crate::discover::KernelInode;

/// A file and its content, as far as the kernel tells: equal means that nothing was written in between.
///
/// It decides whether a Plan may be used again, and nothing else: chmod, chown, ln and rename change it too, while the inode,
/// and so the probes in it, stay ([`FileIdentity::inode`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    inode: KernelInode,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    /// Of an open file, with the inode that stat(2) shows.
    pub fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self::new(KernelInode { dev: meta.dev(), ino: meta.ino() }, &meta))
    }

    /// Of an open file, with the inode that the kernel's probes belong to ([`crate::discover::Watch::kernel_inode`]).
    pub fn with_inode(file: &File, inode: KernelInode) -> io::Result<Self> {
        Ok(Self::new(inode, &file.metadata()?))
    }

    /// The inode that its probes belong to.
    pub fn inode(&self) -> KernelInode {
        self.inode
    }

    fn new(inode: KernelInode, meta: &Metadata) -> Self {
        Self {
            inode,
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// The path by which the kernel finds an open file, whatever happens to its name.
pub fn descriptor_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
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
    let mut bytes = vec![0; site.bytes.len() / 2];
    file.read_exact_at(&mut bytes, site.file_offset)?;
    let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if found == site.bytes && !bytes.is_empty() {
        return Ok(());
    }
    Err(Changed { file_offset: site.file_offset, planned: site.bytes.clone(), found }.into())
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
        let site =
            Site { vaddr: 0, file_offset: 0, bytes: "55".into(), when: When::Entry, cost: Cost::Emulated };
        check_site(&open, &site).expect("as planned");
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(file.path(), b"\x90\x90\x90\x90").expect("overwritten");
        assert_ne!(FileIdentity::of(&open).expect("identity"), before);
        assert_eq!(FileIdentity::of(&open).expect("identity").inode(), before.inode());
        assert!(
            check_site(&open, &site).expect_err("changed").to_string().contains("are 90, the plan says 55")
        );
    }
}
