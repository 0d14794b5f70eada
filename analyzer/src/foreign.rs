//! What a file is that is no ELF file, as the person calls it who named it: told by its first bytes.
//!
//! | bytes | what |
//! |---|---|
//! | `#!` | a script |
//! | `!<arch>\n`, `PK\x03\x04`, `ustar` at 257 | an archive |
//! | `1f 8b`, `fd 37 7a 58 5a`, `28 b5 2f fd`, `BZh` | a compressed file |
//! | `MZ`; `fe ed fa ce`, `fe ed fa cf` and both backwards; `\0asm` | a program of another system |
//!
//! Not here: ELF files that are no programs ([`super::elf`]).

use std::fmt;

/// How many bytes decide whether a file is text, and how long a script's first line may be to be shown.
const HEAD: usize = 512;
const MAX_LINE: usize = 60;

/// A file that is no ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// Nothing in it.
    Empty,
    /// Something starts it, named in its first line.
    Script {
        /// The first line behind `#!`.
        line: String,
    },
    /// Readable characters.
    Text,
    /// Several files in one.
    Archive(&'static str),
    /// One file, compressed.
    Compressed(&'static str),
    /// A program of another operating system.
    Program(&'static str),
    /// None of those.
    Other {
        /// The first bytes in hex.
        magic: String,
    },
}

impl Foreign {
    /// What a file is; nothing when it is an ELF file.
    pub fn of(file: &[u8]) -> Option<Self> {
        static KNOWN: [(&[u8], Foreign); 14] = [
            (b"!<arch>\n", Foreign::Archive("ar")),
            (b"PK\x03\x04", Foreign::Archive("zip")),
            (b"\x1f\x8b", Foreign::Compressed("gzip")),
            (b"\xfd7zXZ", Foreign::Compressed("xz")),
            (b"\x28\xb5\x2f\xfd", Foreign::Compressed("zstd")),
            (b"BZh", Foreign::Compressed("bzip2")),
            (b"MZ", Foreign::Program("Windows")),
            (b"\xfe\xed\xfa\xce", Foreign::Program("macOS")),
            (b"\xfe\xed\xfa\xcf", Foreign::Program("macOS")),
            (b"\xce\xfa\xed\xfe", Foreign::Program("macOS")),
            (b"\xcf\xfa\xed\xfe", Foreign::Program("macOS")),
            (b"\xca\xfe\xba\xbe", Foreign::Program("macOS or Java")),
            (b"\0asm", Foreign::Program("WebAssembly")),
            (b"", Foreign::Empty),
        ];
        if file.starts_with(b"\x7fELF") {
            return None;
        }
        let head = file.get(..HEAD).unwrap_or(file);
        let known = KNOWN.iter().find(|(magic, _)| match magic {
            [] => file.is_empty(),
            magic => file.starts_with(magic),
        });
        Some(match known {
            Some((_, what)) => what.clone(),
            None if head.starts_with(b"#!") => Foreign::Script { line: first_line(head) },
            None if file.get(257..262) == Some(b"ustar") => Foreign::Archive("tar"),
            None if is_text(head) => Foreign::Text,
            None => {
                let magic: Vec<String> = head.iter().take(4).map(|b| format!("{b:02x}")).collect();
                Foreign::Other { magic: magic.join(" ") }
            }
        })
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Foreign::Empty => "copy or build the file again",
            Foreign::Script { .. } | Foreign::Text => "name the Go executable itself, not what starts it",
            Foreign::Archive("ar") => "name the program that was linked from it",
            Foreign::Archive(_) => "unpack it, and name the executable or the folder",
            Foreign::Compressed(_) => "unpack it, and name the executable",
            Foreign::Program(_) => "build for linux/amd64 or linux/arm64",
            Foreign::Other { .. } => "name a Go executable for Linux",
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::Empty => f.write_str("an empty file"),
            Foreign::Script { line } => write!(f, "a script (#!{line})"),
            Foreign::Text => f.write_str("a text file"),
            Foreign::Archive(format) => write!(f, "an archive ({format})"),
            Foreign::Compressed(format) => write!(f, "a compressed file ({format})"),
            Foreign::Program(system) => write!(f, "a program for {system}"),
            Foreign::Other { magic } => write!(f, "a file of an unknown kind (it begins with {magic})"),
        }
    }
}

fn first_line(script: &[u8]) -> String {
    let line = script.get(2..).unwrap_or_default().split(|&b| b == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).trim().chars().take(MAX_LINE).collect()
}

/// Whether a file's head is UTF-8 without control characters. A character may be cut at its end.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(file: &[u8], what: &str) {
        assert_eq!(Foreign::of(file).expect("no ELF file").to_string(), what);
    }

    #[test]
    fn files_are_called_what_people_call_them() {
        assert_eq!(Foreign::of(b"\x7fELF"), None);
        is(b"", "an empty file");
        is(b"#!/bin/sh\nexec service\n", "a script (#!/bin/sh)");
        is(b"#! /usr/bin/env python3", "a script (#!/usr/bin/env python3)");
        is("caf\u{e9}\n".as_bytes(), "a text file");
        is(&b"caf\xc3"[..], "a text file");
        is(b"!<arch>\n_go_.o", "an archive (ar)");
        is(b"PK\x03\x04", "an archive (zip)");
        is(b"\x1f\x8b\x08", "a compressed file (gzip)");
        is(b"MZ\x90", "a program for Windows");
        is(b"\xcf\xfa\xed\xfe", "a program for macOS");
        is(&[1, 2, 3, 4, 5], "a file of an unknown kind (it begins with 01 02 03 04)");
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        is(&tar, "an archive (tar)");
    }
}
