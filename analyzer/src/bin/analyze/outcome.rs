//! What came of one file, and which exit status that is.

use analyzer::debug_file::Search;
use analyzer::plan::{Plan, Status as Tracing, Verdict};
use analyzer::{Error, ErrorKind, Options};
use offsets::catalog::Entry;

use crate::cli::Cli;
use crate::input::Bytes;
use crate::targets::{Source, Target};

/// Statuses, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// All instrumentable libraries present are ready.
    Ready,
    /// There is nothing to instrument.
    Nothing,
    /// One is partial or refused, or a required one is missing.
    NotReady,
    /// Not a Go binary, or unreadable.
    Unreadable,
}

impl Status {
    /// The process's exit status.
    pub fn code(self) -> u8 {
        match self {
            Status::Ready => 0,
            Status::NotReady => 1,
            Status::Unreadable => 2,
            Status::Nothing => 3,
        }
    }
}

/// Why a file that a folder holds is passed over: it is not meant to be a Go program for the machines that strobe knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// No ELF file.
    NotElf,
    /// ELF, but an object file, a core dump or debug information.
    NotAProgram,
    /// A program or a library without Go in it.
    NotGo,
    /// A plugin or a shared library of Go's.
    GoLibrary,
    /// For another machine.
    OtherMachine,
}

impl Skipped {
    fn of(error: &ErrorKind) -> Option<Self> {
        match error {
            ErrorKind::NotElf { .. } => Some(Skipped::NotElf),
            ErrorKind::NotExecutable { .. } | ErrorKind::DebugFile => Some(Skipped::NotAProgram),
            ErrorKind::NotGo | ErrorKind::NotGoLibrary => Some(Skipped::NotGo),
            ErrorKind::Library { .. } => Some(Skipped::GoLibrary),
            ErrorKind::Unsupported { .. } => Some(Skipped::OtherMachine),
            _ => None,
        }
    }

    /// What the summary calls them.
    pub fn words(self) -> &'static str {
        match self {
            Skipped::NotElf => "no ELF files",
            Skipped::NotAProgram => "object or debug files",
            Skipped::NotGo => "without Go",
            Skipped::GoLibrary => "Go plugins or libraries",
            Skipped::OtherMachine => "for other machines",
        }
    }
}

/// A file's Plan or error.
#[derive(Debug)]
pub struct Outcome {
    /// What the analyzer made of it.
    pub result: Result<Plan, Error>,
    /// Why it does not count, when a folder holds it and it was not named.
    pub skipped: Option<Skipped>,
}

impl Outcome {
    /// Plans one file.
    pub fn of(target: &Target, cli: &Cli, entries: &'static [Entry]) -> Self {
        let options = Options { entries, ..Options::default() };
        let mut result = match &target.source {
            Source::File(path) => analyzer::plan_file(path, &options, &cli.debug_root),
            Source::Stdin => plan_stdin(&target.name, cli, &options),
        };
        match &mut result {
            Ok(plan) => plan.file.clone_from(&target.name),
            Err(error) => error.file.clone_from(&target.name),
        }
        let skipped = match &result {
            Err(error) if target.in_folder => Skipped::of(&error.kind),
            _ => None,
        };
        Outcome { result, skipped }
    }

    /// The status of this file alone; none when it does not count.
    pub fn status(&self) -> Option<Status> {
        let plan = match &self.result {
            _ if self.skipped.is_some() => return None,
            Ok(plan) => plan,
            Err(_) => return Some(Status::Unreadable),
        };
        let instrumentable = |l: &&analyzer::plan::Library| l.status == Tracing::Instrumented;
        let mut libraries = plan.libraries.iter().filter(instrumentable).peekable();
        Some(if libraries.peek().is_none() {
            Status::Nothing
        } else if libraries.all(|l| l.verdict == Verdict::Ready) {
            Status::Ready
        } else {
            Status::NotReady
        })
    }
}

fn plan_stdin(name: &str, cli: &Cli, options: &Options) -> Result<Plan, Error> {
    let fail = |kind| Error { file: name.to_owned(), kind };
    let bytes = Bytes::stdin().map_err(fail)?;
    let debug = Search { binary: None, roots: &cli.debug_root };
    let plan = analyzer::plan_with(&bytes, name, options, &debug);
    bytes.is_unchanged().map_err(fail)?;
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_is_2_then_1_then_3_then_0() {
        let mut all = [Status::Ready, Status::Unreadable, Status::Nothing, Status::NotReady];
        all.sort_by(|a, b| b.cmp(a));
        assert_eq!(all.map(Status::code), [2, 1, 3, 0]);
    }

    #[test]
    fn a_go_program_that_cannot_be_planned_is_never_skipped() {
        for error in [
            ErrorKind::GoTooOld { version: "go1.17".into() },
            ErrorKind::Packed { packer: "UPX" },
            ErrorKind::Obfuscated { vaddr: 0, magic: 0 },
            ErrorKind::NeedsOthers,
            ErrorKind::SeveralRuntimes { count: 2 },
            ErrorKind::Truncated { what: "x", offset: 0, need: 1, have: 0 },
            std::io::Error::other("no permission").into(),
        ] {
            assert_eq!(Skipped::of(&error), None, "{error}");
        }
    }
}
