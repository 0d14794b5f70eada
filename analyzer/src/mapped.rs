//! Files mapped read-only, and whether they stayed as they were.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::error::ErrorKind;

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
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
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
