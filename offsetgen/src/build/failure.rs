//! What a failure says: of the version, of the proxy, or of this machine.
//!
//! A version that nobody can have and one that does not compile are facts for the database. A proxy that has broken off is
//! none: that version is tried again, and the run says so in its exit status. A full disk or a compiler that was killed
//! says nothing of any version: the run ends, and the data stays as it was.
//!
//! The go command has no statuses of its own, so its words are what there is to go by.

use anyhow::Error;

use crate::net::FetchError;

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Proxy or checksum database do not have it, or not the Go that it asks for.
    Withheld,
    /// It could not be had this time.
    Fetch,
    /// It does not compile, or nothing can be read from it.
    Compile,
    /// This machine: a full disk, no memory.
    Machine,
}

/// Of a machine that has no room left, or that has killed a compiler for want of memory.
const MACHINE: [&str; 5] = [
    "no space left on device",
    "signal: killed",
    "cannot allocate memory",
    "out of memory",
    "disk quota exceeded",
];
/// Of a hash that is not the known one: somebody is served something else, which is no fact of the version.
const SECURITY: &str = "security error";
/// Of proxies and checksum databases (cmd/go prints the status line).
const WITHHELD: [&str; 6] = [
    "404 not found",
    "403 forbidden",
    "410 gone",
    "does not exist, says the module proxy",
    "unknown revision",
    "no such release is known",
];
/// Of what may pass: the proxy is busy, or broke off.
const PASSING: [&str; 14] = [
    "429 ",
    "500 ",
    "502 ",
    "503 ",
    "504 ",
    "eof",
    "connection re",
    "timeout",
    "not a valid zip file",
    "no progress",
    "checksum error",
    "tls handshake",
    "dial tcp",
    "no such host",
];

impl Stage {
    /// The word in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Withheld => "withheld",
            Self::Fetch => "fetch",
            Self::Compile => "compile",
            Self::Machine => "machine",
        }
    }

    /// What an error is about.
    pub fn of(error: &Error) -> Self {
        let fetch = error.chain().find_map(|cause| cause.downcast_ref::<FetchError>());
        match fetch {
            Some(FetchError::NotFound { .. }) => Self::Withheld,
            Some(FetchError::Write { .. }) => Self::Machine,
            Some(_) => Self::Fetch,
            None if error.chain().any(|cause| cause.is::<std::io::Error>()) => Self::Machine,
            None => Self::said(&format!("{error:#}")),
        }
    }

    /// What the go command's words are about.
    fn said(text: &str) -> Self {
        let text = text.to_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if any(&MACHINE) {
            Self::Machine
        } else if text.contains(SECURITY) {
            Self::Fetch
        } else if any(&WITHHELD) {
            Self::Withheld
        } else if any(&PASSING) {
            Self::Fetch
        } else {
            Self::Compile
        }
    }
}

/// Whether what the go command said may pass within a minute. A hash that is wrong will be wrong again.
pub fn may_pass(text: &str) -> bool {
    Stage::said(text) == Stage::Fetch && !text.to_lowercase().contains(SECURITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (text, expected) in [
            ("go build: write /x: no space left on device", Stage::Machine),
            ("go build: m: compile: signal: killed", Stage::Machine),
            ("reading PROXY/sumdb/lookup/m@v1: 404 Not Found", Stage::Withheld),
            (
                "golang.org/toolchain@v0.0.1-go1.19.1.linux-amd64 does not exist, says the module proxy",
                Stage::Withheld,
            ),
            ("reading PROXY/m/@v/v1.zip: 429 Too Many Requests", Stage::Fetch),
            ("Get \"PROXY/m\": dial tcp 127.0.0.1:1: connect: connection refused", Stage::Fetch),
            ("the go command made no progress for 60 s", Stage::Fetch),
            ("verifying m@v1: checksum mismatch\nSECURITY ERROR\n404 Not Found", Stage::Fetch),
            ("./main.go:6:2: undefined: m.T", Stage::Compile),
            ("module m@latest found (v1.47.0), but does not contain package m/api", Stage::Compile),
        ] {
            assert_eq!(Stage::of(&anyhow::anyhow!(text)), expected, "{text}");
        }
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Stage::of(&Error::new(full).context("cannot write x")), Stage::Machine);
    }
}
