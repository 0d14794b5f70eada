//! What a failure says: of the version, of the proxy, or of this machine.
//!
//! A version that nobody can have and one that does not compile are facts for the database. A proxy that has broken off is
//! none: that version is tried again, and the run says so in its exit status. A full disk or a compiler that was killed
//! says nothing of any version: the run ends, and the data stays as it was.
//!
//! Who failed decides what may be meant, and only then the words, since the go command has no statuses of its own: a build needs no
//! network, so it is the version's failure or the machine's; a list or a download that says nothing known is the proxy's. What
//! nobody has classified is the machine's: it becomes no fact.

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

/// A failure that is classified where it happens.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What it is about.
    pub stage: Stage,
    /// What was said.
    text: String,
}

/// Of a machine that has no room left, or that has killed a compiler for want of memory.
const MACHINE: [&str; 8] = [
    "no space left on device",
    "signal: killed",
    "cannot allocate memory",
    "out of memory",
    "disk quota exceeded",
    "too many open files",
    "input/output error",
    "read-only file system",
];
/// Of a hash that is not the known one: somebody is served something else, which is no fact of the version.
const SECURITY: &str = "security error";
/// Of proxies and checksum databases (cmd/go prints the status, and not always its words).
const WITHHELD: [&str; 4] = [": 404 ", ": 403 ", ": 410 ", "unknown revision"];
/// Of a module's source that cannot be resolved into a program, whoever asks (cmd/go/internal/modload, load).
const UNRESOLVED: [&str; 16] = [
    "does not contain package",
    "cannot find package",
    "cannot find module providing",
    "no required module provides",
    "is not in goroot",
    "is not in std",
    "build constraints exclude all go files",
    "no go files in",
    "import cycle not allowed",
    "use of internal package",
    "ambiguous import",
    "module declares its path as",
    "requires go >=",
    "errors parsing go.mod",
    "invalid version",
    "malformed",
];
/// Of what may pass within a minute: the proxy is busy, or broke off.
const PASSING: [&str; 16] = [
    ": 429 ",
    ": 500 ",
    ": 502 ",
    ": 503 ",
    ": 504 ",
    ": eof",
    "unexpected eof",
    "connection re",
    "i/o timeout",
    "handshake timeout",
    "timeout exceeded",
    "not a valid zip file",
    "made no progress",
    "checksum error",
    "dial tcp",
    "stream error",
];

fn any(text: &str, words: &[&str]) -> bool {
    let text = format!("{} ", text.to_lowercase());
    words.iter().any(|word| text.contains(word))
}

impl Failure {
    /// Of a stage that is known.
    pub fn new(stage: Stage, text: impl Into<String>) -> Self {
        Self { stage, text: text.into() }
    }

    /// Of a compilation, which needs no network.
    pub fn of_build(killed: bool, text: String) -> Self {
        let stage = if killed || any(&text, &MACHINE) { Stage::Machine } else { Stage::Compile };
        Self { stage, text }
    }

    /// Of a question that needs the network.
    pub fn of_fetch(killed: bool, text: String) -> Self {
        let stage = if killed || any(&text, &MACHINE) {
            Stage::Machine
        } else if any(&text, &[SECURITY]) {
            Stage::Fetch
        } else if any(&text, &WITHHELD) {
            Stage::Withheld
        } else if any(&text, &UNRESOLVED) {
            Stage::Compile
        } else {
            Stage::Fetch
        };
        Self { stage, text }
    }
}

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
        error
            .chain()
            .find_map(|cause| {
                let failure = cause.downcast_ref::<Failure>().map(|failure| failure.stage);
                let fetch = cause.downcast_ref::<FetchError>().map(|fetch| match fetch {
                    FetchError::NotFound { .. } => Self::Withheld,
                    FetchError::Write { .. } => Self::Machine,
                    _ => Self::Fetch,
                });
                failure.or(fetch)
            })
            .unwrap_or(Self::Machine)
    }
}

/// Whether what the go command said may pass within a minute. A hash that is wrong will be wrong again.
pub fn may_pass(text: &str) -> bool {
    any(text, &PASSING) && !any(text, &[SECURITY])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_download_says() {
        for (text, expected, passes) in [
            ("write /x: no space left on device", Stage::Machine, false),
            ("reading PROXY/sumdb/lookup/m@v1: 404 Not Found", Stage::Withheld, false),
            ("reading PROXY/m/@v/v1.zip: 429 Too Many Requests", Stage::Fetch, true),
            ("Get \"PROXY/m\": dial tcp 127.0.0.1:1: connect: connection refused", Stage::Fetch, true),
            ("Get \"PROXY/m\": EOF", Stage::Fetch, true),
            ("the go command made no progress for 60 s", Stage::Fetch, true),
            ("tls: failed to verify certificate: x509: certificate has expired", Stage::Fetch, false),
            ("verifying m@v1: checksum mismatch\nSECURITY ERROR\n404 Not Found", Stage::Fetch, false),
            ("module m@latest found (v1.47.0), but does not contain package m/api", Stage::Compile, false),
            ("package slices is not in GOROOT (/go/src/slices)", Stage::Compile, false),
            ("failed without a message", Stage::Fetch, false),
        ] {
            let failure = Error::new(Failure::of_fetch(false, text.to_owned())).context("go list");
            assert_eq!((Stage::of(&failure), may_pass(text)), (expected, passes), "{text}");
        }
        assert_eq!(Failure::of_fetch(true, String::new()).stage, Stage::Machine);
    }

    #[test]
    fn what_a_compiler_says() {
        for (killed, text, expected) in [
            (false, "./main.go:6:2: undefined: m.T", Stage::Compile),
            (false, "./m.go:7: undefined: unsafe.Sizeof: 404 ", Stage::Compile),
            (false, "m: compile: signal: killed", Stage::Machine),
            (false, "write /x: no space left on device", Stage::Machine),
            (true, "", Stage::Machine),
        ] {
            assert_eq!(Failure::of_build(killed, text.to_owned()).stage, expected, "{text}");
        }
    }

    #[test]
    fn what_nobody_has_classified_is_no_fact() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Stage::of(&Error::new(full).context("cannot write x")), Stage::Machine);
        assert_eq!(Stage::of(&anyhow::anyhow!("GOPROXY is not set")), Stage::Machine);
        assert_eq!(Stage::of(&Error::new(Failure::new(Stage::Withheld, "go1.99"))), Stage::Withheld);
    }
}
