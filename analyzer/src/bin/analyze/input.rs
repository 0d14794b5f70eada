//! The bytes of a binary: a file's, mapped, or those that come on standard input, up to a bound.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::Path;

use analyzer::image::Foreign;
use analyzer::{ErrorKind, Mapped};

/// What standard input is called on the command line.
pub const STDIN: &str = "-";
/// Most bytes that are read of it: three times the largest Go program that is known.
pub const MAX_STDIN_BYTES: u64 = 1 << 30;
/// So many bytes tell whether reading on is worth while.
const HEAD_BYTES: u64 = 512;

/// A binary.
#[derive(Debug)]
pub enum Bytes {
    /// A file.
    Mapped(Mapped),
    /// What was piped.
    Read(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Read(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// Opens a file, or standard input when that is what the path says.
    pub fn open(path: &Path) -> Result<Self, ErrorKind> {
        if path == Path::new(STDIN) { Self::stdin() } else { Ok(Bytes::Mapped(analyzer::map(path)?)) }
    }

    /// Standard input. A file behind it (`analyze - < FILE`) is mapped as if it had been named.
    pub fn stdin() -> Result<Self, ErrorKind> {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "standard input is a terminal").into());
        }
        let fd = stdin.as_raw_fd();
        // SAFETY: the descriptor is open as long as the process is, and ManuallyDrop leaves it so.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
        if file.metadata()?.is_file() {
            return Ok(Bytes::Mapped(analyzer::map(Path::new(&format!("/proc/self/fd/{fd}")))?));
        }
        Ok(Bytes::Read(read(stdin.lock(), MAX_STDIN_BYTES)?))
    }

    /// An error if the file has been written to since it was mapped.
    pub fn is_unchanged(&self) -> Result<(), ErrorKind> {
        match self {
            Bytes::Mapped(map) => map.is_unchanged(),
            Bytes::Read(_) => Ok(()),
        }
    }
}

/// Reads all there is, unless it is more than `limit` or no ELF file.
fn read(mut from: impl Read, limit: u64) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    from.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes)?;
    if let Some(what) = Foreign::of(&bytes) {
        return Err(ErrorKind::NotElf { what });
    }
    let rest = limit.saturating_sub(bytes.len() as u64).saturating_add(1);
    from.take(rest).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(ErrorKind::TooLong { limit }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_is_bounded() {
        let elf = |len: usize| {
            let mut bytes = vec![0; len];
            bytes[..4].copy_from_slice(b"\x7fELF");
            bytes
        };
        assert_eq!(read(&*elf(4096), 4096).expect("just as many").len(), 4096);
        assert!(matches!(read(&*elf(4097), 4096), Err(ErrorKind::TooLong { limit: 4096 })));
        // An endless stream of something else is not read to its bound.
        assert!(matches!(read(io::repeat(b'x'), u64::MAX), Err(ErrorKind::NotElf { .. })));
        assert!(matches!(read(io::empty(), 4096), Err(ErrorKind::NotElf { what: Foreign::Empty })));
    }
}
