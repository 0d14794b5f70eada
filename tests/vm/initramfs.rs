//! An initramfs in the format that the kernel unpacks at boot (Documentation/driver-api/early-userspace/buffer-format.rst,
//! "newc"): for each file a header of 6 + 13 × 8 ASCII characters, its name and its content, both padded to 4 bytes.
//!
//! ```text
//! "070701" ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check name\0 pad data pad
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

const MODE_FOLDER: u32 = 0o040_755;
const MODE_PROGRAM: u32 = 0o100_755;
const MODE_FILE: u32 = 0o100_644;
const MODE_CONSOLE: u32 = 0o020_600;
/// `/dev/console` is character device 5:1 (Documentation/admin-guide/devices.txt).
const CONSOLE: (u32, u32) = (5, 1);

/// An archive that grows in memory.
#[derive(Debug, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<String>,
}

impl Initramfs {
    /// An archive with `/dev/console`, which the kernel opens as standard output of `/init`.
    pub fn new() -> Result<Self> {
        let mut archive = Self::default();
        archive.folder("dev")?;
        archive.entry("dev/console", MODE_CONSOLE, &[], CONSOLE)?;
        Ok(archive)
    }

    /// A folder, and those above it.
    pub fn folder(&mut self, path: &str) -> Result<()> {
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let folder = path.get(..end).unwrap_or(path);
            if self.folders.insert(folder.to_owned()) {
                self.entry(folder, MODE_FOLDER, &[], (0, 0))?;
            }
        }
        Ok(())
    }

    /// A file with these bytes.
    pub fn file(&mut self, path: &str, data: &[u8]) -> Result<()> {
        self.parent(path)?;
        self.entry(path, MODE_FILE, data, (0, 0))
    }

    /// A program, copied from the host.
    pub fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let data = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        self.parent(path)?;
        self.entry(path, MODE_PROGRAM, &data, (0, 0))
    }

    /// The whole archive. The kernel takes it as it is: unpacking compressed ones costs an emulated processor seconds.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, &[], (0, 0))?;
        Ok(self.bytes)
    }

    fn parent(&mut self, path: &str) -> Result<()> {
        path.rsplit_once('/').map_or(Ok(()), |(folder, _)| self.folder(folder))
    }

    fn entry(&mut self, path: &str, mode: u32, data: &[u8], device: (u32, u32)) -> Result<()> {
        let size =
            u32::try_from(data.len()).with_context(|| format!("{path} does not fit into an archive"))?;
        let name_size = u32::try_from(path.len() + 1).context("a name's length")?;
        self.entries += 1;
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").into_bytes());
        }
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(data);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode and content of each entry, read by the format's description.
    fn read(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut at = 0;
        while at < archive.len() {
            assert_eq!(&archive[at..at + 6], b"070701");
            let field = |i: usize| {
                let text = std::str::from_utf8(&archive[at + 6 + 8 * i..at + 14 + 8 * i]).expect("ASCII");
                usize::from_str_radix(text, 16).expect("hexadecimal")
            };
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = &archive[at + 110..at + 110 + name_size - 1];
            let data = (at + 110 + name_size).next_multiple_of(4);
            let name = String::from_utf8(name.to_vec()).expect("a name");
            entries.push((name, u32::try_from(mode).expect("a mode"), archive[data..data + size].to_vec()));
            at = (data + size).next_multiple_of(4);
        }
        entries
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let mut archive = Initramfs::new().expect("a new archive");
        archive.file("a/b/one", b"12345").expect("a file");
        archive.file("a/b/two", b"").expect("a file");
        let entries = read(&archive.finish().expect("an archive"));
        let names: Vec<&str> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["dev", "dev/console", "a", "a/b", "a/b/one", "a/b/two", "TRAILER!!!"]);
        assert_eq!(entries[1].1, MODE_CONSOLE);
        assert_eq!((entries[4].1, entries[4].2.as_slice()), (MODE_FILE, b"12345".as_slice()));
    }
}
