//! The inode that a probe belongs to: what the kernel takes for an open file (`d_real_inode`, kernel/events/uprobes.c).
//!
//! On overlayfs, as containers have it, stat(2) shows the overlay's device, so that three containers of one image look like
//! three files, where the kernel has one, and three probes on one instruction. The kernel shows the real one as follows:
//!
//! | kernel | by |
//! |---|---|
//! | before 6.8 | `/proc/self/maps` of a mapping of the file |
//! | since 6.8 | `iter/task_vma` (5.12) on that mapping; maps shows the overlay's inode there |
//!
//! Where neither is to be had stat's answer serves, and the programs recognise a second probe of the same hit.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
};

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs};

/// What the kernel's probes are keyed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct KernelInode {
    /// The device as stat(2) writes it.
    pub dev: u64,
    /// The inode's number.
    pub ino: u64,
}

impl KernelInode {
    /// What stat(2) says.
    pub fn by_stat(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self { dev: meta.dev(), ino: meta.ino() })
    }

    /// From the kernel's own form of a device: 12 bits of major and 20 of minor (include/linux/kdev_t.h).
    pub(super) fn from_kernel(dev: u32, ino: u64) -> Self {
        Self { dev: libc::makedev(dev >> 20, dev & 0x000f_ffff), ino }
    }
}

/// Does stat(2) lie about this file?
pub fn is_on_overlay(file: &File) -> io::Result<bool> {
    Ok(fstatfs(file).map_err(io::Error::from)?.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
}

/// The first page of a file, mapped.
pub(super) struct Mapping(memmap2::MmapRaw);

impl Mapping {
    pub fn of(file: &File) -> io::Result<Self> {
        // Nothing of it is read, so a file that shrinks does no harm.
        Ok(Self(memmap2::MmapOptions::new().len(1).map_raw_read_only(file)?))
    }

    pub fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    /// What `/proc/self/maps` says of it.
    pub fn by_maps(&self) -> io::Result<KernelInode> {
        let maps = fs::read_to_string("/proc/self/maps")?;
        let start = format!("{:08x}-", self.address());
        let found = maps.lines().find_map(|line| maps_line(line.strip_prefix(&start)?));
        found.ok_or_else(|| io::Error::other("/proc/self/maps does not show the file that was mapped"))
    }
}

/// `7f01-7f02 r--s 00000000 fe:01 1234  /path`, without its start.
fn maps_line(line: &str) -> Option<KernelInode> {
    let mut fields = line.split_whitespace().skip(3);
    let (major, minor) = fields.next()?.split_once(':')?;
    let number = |text| u32::from_str_radix(text, 16).ok();
    let ino = fields.next()?.parse().ok()?;
    Some(KernelInode { dev: libc::makedev(number(major)?, number(minor)?), ino })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_shows_the_inode_of_an_ordinary_file() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(1).expect("a byte");
        let mapping = Mapping::of(&file).expect("mapped");
        let found = mapping.by_maps().expect("in maps");
        // The file systems that temporary files live on here (tmpfs, ext4, xfs) have one device each.
        assert_eq!(found.ino, KernelInode::by_stat(&file).expect("stat").ino);
        assert!(!is_on_overlay(&file).expect("statfs") || found.dev != file.metadata().expect("stat").dev());
    }

    #[test]
    fn devices_are_one_number_in_two_forms() {
        let found = maps_line("7f02 r--p 00000000 fe:01 1234   /a b");
        assert_eq!(found, Some(KernelInode { dev: libc::makedev(0xfe, 1), ino: 1234 }));
        assert_eq!(found, Some(KernelInode::from_kernel(0xfe << 20 | 1, 1234)));
    }
}
