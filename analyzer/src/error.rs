//! What can be wrong with a file, in words that name the structure and the place.

use std::io;

use thiserror::Error;

use crate::foreign::Foreign;

/// Why no Plan could be made of a file.
#[derive(Debug, Error)]
#[error("{file}: {kind}")]
pub struct Error {
    /// The file as the user named it.
    pub file: String,
    /// What is wrong with it; part of the message, hence no `source`, which would say it twice.
    pub kind: ErrorKind,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file could not be opened or mapped.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// Written to by another process at the same time.
    #[error(
        "changed while it was read: it had {was} bytes and has {is}; run it again when the file is complete"
    )]
    Changed {
        /// Its length when it was opened.
        was: u64,
        /// Its length now.
        is: u64,
    },
    /// No ELF magic.
    #[error("{what}, not a program for Linux (ELF)")]
    NotElf {
        /// What it is.
        what: Foreign,
    },
    /// ELF, but no executable or shared object.
    #[error("{what}, not a program")]
    NotExecutable {
        /// What it is.
        what: String,
    },
    /// ELF with debug information and no code.
    #[error("a separate debug file: it holds the debug information of a program, and none of its code")]
    DebugFile,
    /// ELF of another machine, word size or byte order.
    #[error("{what}: strobe reads programs for 64-bit x86-64 (amd64) and AArch64 (arm64) only")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// A structure reaches beyond the end of the file.
    #[error("truncated: {what} at offset {offset} needs {need} bytes, the file has {have}")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// How many bytes it has.
        need: u64,
        /// How long the file is.
        have: u64,
    },
    /// Nothing of Go in it.
    #[error("not a Go binary: it has neither Go build information nor a Go function table (pclntab)")]
    NotGo,
    /// Nothing of Go in it, and it is no program either.
    #[error("a shared library without Go in it")]
    NotGoLibrary,
    /// Go, but of before 1.18.
    #[error("unsupported: built with {version}; Go 1.18 is the oldest whose tables can be read")]
    GoTooOld {
        /// As the binary or its tables say.
        version: String,
    },
    /// Packed by a program that unpacks it at its start.
    #[error(
        "packed with {packer}: the program is compressed inside of the file, so nothing in it can be read or probed"
    )]
    Packed {
        /// Its name.
        packer: &'static str,
    },
    /// Go's tables with a magic number that no Go release has.
    #[error(
        "obfuscated: the function table at {vaddr:#x} is Go's, with magic {magic:08x} in place of Go's own (as garble does it), \
         so names and types in it mean nothing"
    )]
    Obfuscated {
        /// Where the table is.
        vaddr: u64,
        /// What stands where the magic should.
        magic: u32,
    },
    /// A part of a program, which another file starts.
    #[error("{what}: it is no program of its own, and strobe probes programs only")]
    Library {
        /// What it is.
        what: &'static str,
    },
    /// A program that has most of its code in Go's shared libraries.
    #[error(
        "linked against Go's shared libraries (`-linkshared`): the packages that strobe knows are in those files, not in this one"
    )]
    NeedsOthers,
    /// Several C archives in one program.
    #[error(
        "it holds {count} Go run times and no main package (several `-buildmode=c-archive` in one program): which of them a \
         function belongs to cannot be told"
    )]
    SeveralRuntimes {
        /// How many.
        count: usize,
    },
    /// Go's build information without the tables of the run time.
    #[error("{what} not found: {why}")]
    Missing {
        /// The structure.
        what: &'static str,
        /// What that may mean.
        why: String,
    },
    /// A structure contradicts itself.
    #[error("malformed {what} at address {vaddr:#x}: {why}")]
    Malformed {
        /// The structure.
        what: &'static str,
        /// Its address in the file's address space.
        vaddr: u64,
        /// The field and its value.
        why: String,
    },
    /// Standard input goes on and on.
    #[error("too long: more than {limit} bytes came on standard input")]
    TooLong {
        /// The limit.
        limit: u64,
    },
    /// A stated limit was passed.
    #[error("too big: {count} {what}, the limit is {limit}")]
    Budget {
        /// What there are too many of.
        what: &'static str,
        /// How many there are, or how many had been counted when it ended.
        count: u64,
        /// The limit.
        limit: u64,
    },
}

impl ErrorKind {
    /// The word that stands for it in JSON; stable (docs/plan-json.md).
    pub fn word(&self) -> &'static str {
        match self {
            ErrorKind::Io(_) => "unreadable",
            ErrorKind::Changed { .. } => "changed",
            ErrorKind::NotElf { .. } => "not-elf",
            ErrorKind::NotExecutable { .. } => "not-executable",
            ErrorKind::DebugFile => "debug-file",
            ErrorKind::Unsupported { .. } => "other-machine",
            ErrorKind::Truncated { .. } => "truncated",
            ErrorKind::NotGo | ErrorKind::NotGoLibrary => "not-go",
            ErrorKind::GoTooOld { .. } => "go-too-old",
            ErrorKind::Packed { .. } => "packed",
            ErrorKind::Obfuscated { .. } => "obfuscated",
            ErrorKind::Library { .. } => "go-library",
            ErrorKind::NeedsOthers => "linked-to-go-libraries",
            ErrorKind::SeveralRuntimes { .. } => "several-go-runtimes",
            ErrorKind::Missing { .. } => "missing-tables",
            ErrorKind::Malformed { .. } => "malformed",
            ErrorKind::TooLong { .. } => "too-long",
            ErrorKind::Budget { .. } => "too-big",
        }
    }

    /// What the owner of the file can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            ErrorKind::Io(error) => unreadable(error),
            ErrorKind::Changed { .. } => "run it again when the file is complete",
            ErrorKind::NotElf { what } => what.remedy(),
            ErrorKind::NotGo => "name the Go executable itself, not what starts it",
            ErrorKind::NotExecutable { .. } => "name the linked executable",
            ErrorKind::DebugFile => "name the program that it belongs to: its debug file is found by itself",
            ErrorKind::NotGoLibrary => "name the Go program that loads it",
            ErrorKind::TooLong { .. } => "write it to a file and name that",
            ErrorKind::Unsupported { .. } => "build for linux/amd64 or linux/arm64",
            ErrorKind::Truncated { .. } => "copy the file again: its headers promise more than it holds",
            ErrorKind::GoTooOld { .. } => "rebuild with Go 1.18 or newer",
            ErrorKind::Packed { .. } => "deploy the executable unpacked (`upx -d FILE` restores it)",
            ErrorKind::Obfuscated { .. } => "build without the obfuscator",
            ErrorKind::Library { .. } => {
                "name the program that loads it; to be traced, the code must be linked into a program (a Go main package, or \
                 `-buildmode=c-archive`)"
            }
            ErrorKind::NeedsOthers => "build without `-linkshared`",
            ErrorKind::SeveralRuntimes { .. } => {
                "build one archive of all the Go packages that the program needs"
            }
            ErrorKind::Missing { .. } | ErrorKind::Malformed { .. } => {
                "deploy the file as the Go linker wrote it; stripping is fine, other post-processing is not"
            }
            ErrorKind::Budget { .. } => "report the file: no real binary is known to pass this limit",
        }
    }
}

/// The result of a parser.
pub type Result<T, E = ErrorKind> = std::result::Result<T, E>;

/// A contradiction in a structure.
pub(crate) fn malformed(what: &'static str, vaddr: u64, why: impl Into<String>) -> ErrorKind {
    ErrorKind::Malformed { what, vaddr, why: why.into() }
}

/// What helps against an error of the system.
fn unreadable(error: &io::Error) -> &'static str {
    use io::ErrorKind::{InvalidInput, NotADirectory, NotFound, PermissionDenied, Unsupported};
    const NO_SUCH: &str = "check the name: no such file or process is there";
    match (error.kind(), error.raw_os_error()) {
        (NotFound | NotADirectory, _) | (_, Some(libc::ELOOP | libc::ENAMETOOLONG)) => NO_SUCH,
        (PermissionDenied, _) => "make it readable for this user, or run this as a user who may read it",
        // These two are said by this program itself.
        (InvalidInput, None) => "name a Go executable: a regular file, or one that is piped in",
        (Unsupported, None) => "name a process that runs a program",
        _ => "see to what the system complains of: the disk, the file system, or what this process may use",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_fits_what_the_system_says() {
        for (errno, want) in [
            (libc::ENOENT, "check the name"),
            (libc::ENOTDIR, "check the name"),
            (libc::ELOOP, "check the name"),
            (libc::ENAMETOOLONG, "check the name"),
            (libc::EACCES, "make it readable"),
            (libc::EPERM, "make it readable"),
            (libc::EIO, "see to what the system complains of"),
            (libc::EMFILE, "see to what the system complains of"),
        ] {
            let error: ErrorKind = io::Error::from_raw_os_error(errno).into();
            assert!(error.remedy().starts_with(want), "{error}: {}", error.remedy());
        }
    }
}
