//! What a version is compiled for, beside itself.
//!
//! | axis | is |
//! |---|---|
//! | `amd64` | the architecture, with the usual Go and the dependencies that go.mod asks for |
//! | `amd64+go1.19.13` | with another Go |
//! | `amd64+google.golang.org/protobuf@v1.36.11` | with another version of a dependency, or of several, with commas between |
//! | `amd64+X:noswissmap` | with a Go experiment other than its release has it (GOEXPERIMENT, src/internal/goexperiment/flags.go) |

use anyhow::{Result, bail};

use crate::go::release::{Release, release_of};

/// The architecture on which every version is built.
pub const FIRST: &str = "amd64";

/// An axis taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis<'a> {
    /// As Go spells it.
    pub arch: &'a str,
    /// What is otherwise than usual.
    pub other: Other<'a>,
}

/// What is otherwise than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other<'a> {
    /// Nothing.
    Nothing,
    /// The Go that compiles.
    Go(Release),
    /// Dependencies: `module@version`, with commas between.
    Dependencies(&'a str),
    /// `noswissmap`.
    Experiment(&'a str),
}

impl<'a> Axis<'a> {
    /// Takes a name apart.
    pub fn parse(name: &'a str) -> Result<Self> {
        let (arch, rest) = name.split_once('+').unwrap_or((name, ""));
        let go = rest.strip_prefix("go").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let other = match (rest, rest.strip_prefix("X:"), go.and_then(release_of), rest.contains('@')) {
            ("", ..) if !name.ends_with('+') => Other::Nothing,
            (_, Some(experiment), ..) => Other::Experiment(experiment),
            (_, _, Some(release), _) => Other::Go(release),
            (.., true) => Other::Dependencies(rest),
            _ => bail!("{name:?} is no axis"),
        };
        Ok(Self { arch, other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("arm64", Some(("arm64", Other::Nothing))),
            ("amd64+go1.19.13", Some(("amd64", Other::Go((19, 13))))),
            ("amd64+a.b/c@v1.2.3,d@v1.0.0", Some(("amd64", Other::Dependencies("a.b/c@v1.2.3,d@v1.0.0")))),
            ("amd64+gopkg.in/c@v1.2.3", Some(("amd64", Other::Dependencies("gopkg.in/c@v1.2.3")))),
            ("amd64+X:noswissmap", Some(("amd64", Other::Experiment("noswissmap")))),
            ("amd64+nonsense", None),
            ("amd64+", None),
        ] {
            let read = Axis::parse(name).ok().map(|axis| (axis.arch, axis.other));
            assert_eq!(read, expected, "{name}");
        }
    }
}
