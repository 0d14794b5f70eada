//! Reads Go executables, stripped ones above all, and plans the probes for them.
//!
//! [`plan`] is the way in: bytes to [`Plan`]. Below it lie an ELF [`image`], Go's own tables ([`go`]) in it, the
//! [`sites`] for probes in its code, and the planner that holds all of them against the catalog.
//!
//! Nothing here does I/O except [`plan_file`] and the look-up of a [`debug_file`], nothing panics on any input, and nothing
//! allocates more than a stated bound from a length that it read.

mod bytes;
pub mod debug_file;
pub mod dwarf;
pub mod error;
pub mod go;
pub mod go_image;
pub mod image;
pub mod plan;
mod planner;
pub mod sites;

use std::fs::{File, Metadata};
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use debug_file::Search;
pub use error::{Error, ErrorKind};
pub use go_image::GoImage;
use offsets::catalog::{self, Entry};
pub use plan::Plan;

/// What is planned, and which witnesses may speak. All do by default; tests withhold some.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The libraries; the embedded catalog by default.
    pub entries: &'static [Entry],
    /// The binary's own type descriptors.
    pub types: bool,
    /// The binary's DWARF.
    pub dwarf: bool,
    /// The offset database.
    pub database: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { entries: catalog::entries(), types: true, dwarf: true, database: true }
    }
}

/// Plans the probes for the file with these bytes; `file_name` is what the Plan and errors call it.
pub fn plan(bytes: &[u8], file_name: &str, options: &Options) -> Result<Plan, Error> {
    plan_with(bytes, file_name, options, &Search::default())
}

/// The same, with DWARF from a file of its own when one is found there and the binary has none.
pub fn plan_with(
    bytes: &[u8],
    file_name: &str,
    options: &Options,
    debug: &Search<'_>,
) -> Result<Plan, Error> {
    let make = || planner::make(&GoImage::parse(bytes)?, file_name, options, debug);
    make().map_err(|kind| Error { file: file_name.to_owned(), kind })
}

/// Plans the probes for a file, mapped read-only. Debug files are looked for beside it and in these folders.
pub fn plan_file(path: &Path, options: &Options, debug_roots: &[PathBuf]) -> Result<Plan, Error> {
    let name = path.to_string_lossy();
    let fail = |kind| Error { file: name.clone().into_owned(), kind };
    let map = map(path).map_err(fail)?;
    let plan = plan_with(&map, &name, options, &Search { binary: Some(path), roots: debug_roots });
    // Whatever was made of bytes that changed meanwhile.
    map.is_unchanged().map_err(fail)?;
    plan
}

/// A file mapped read-only.
#[derive(Debug)]
pub struct Mapped {
    map: memmap2::Mmap,
    file: File,
    then: Metadata,
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Mapped {
    /// An error if the file has been written to since it was mapped. The time of its last change counts too (ctime): whoever
    /// writes can set the time of the last write back, as `rsync -t` and `cp -p` do, and not that one.
    pub fn is_unchanged(&self) -> Result<(), ErrorKind> {
        let now = self.file.metadata()?;
        let state = |m: &Metadata| (m.len(), [m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()]);
        if state(&now) == state(&self.then) {
            Ok(())
        } else {
            Err(ErrorKind::Changed { was: self.then.len(), is: now.len() })
        }
    }
}

/// Maps a file read-only. Empty files give an empty slice.
///
/// Another process may shorten the file meanwhile; what then reads beyond its end gets SIGBUS. `analyze` handles that, and
/// the agent plans in a child of its own.
pub fn map(path: &Path) -> Result<Mapped, ErrorKind> {
    let regular = |metadata: &Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(std::io::Error::other("not a regular file")),
    };
    // Opening alone may block (a FIFO) or do something (a device).
    regular(&std::fs::metadata(path)?)?;
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let then = file.metadata()?;
    regular(&then)?;
    // SAFETY: the map is read-only and private; on a file that changes see above. Every read of it is checked anew.
    let map = unsafe { memmap2::Mmap::map(&file) }?;
    Ok(Mapped { map, file, then })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_whose_write_was_hidden_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app");
        std::fs::write(&path, "one").expect("written");
        let map = map(&path).expect("mapped");
        assert!(map.is_unchanged().is_ok());
        // The kernel's clock of files goes by ticks of up to 10 ms.
        std::thread::sleep(Duration::from_millis(30));
        let file = File::options().write(true).open(&path).expect("opened");
        file.write_all_at(b"two", 0).expect("written");
        file.set_modified(map.then.modified().expect("a time")).expect("set back");
        assert!(matches!(map.is_unchanged(), Err(ErrorKind::Changed { was: 3, is: 3 })));
    }
}
