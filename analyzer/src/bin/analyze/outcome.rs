//! What came of one file, and which exit status that is.

use analyzer::plan::{Library, Plan, Status as Tracing, Verdict};
use analyzer::{Error, Options};

use crate::cli::Cli;
use crate::targets::Target;

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

/// A file's Plan or error.
#[derive(Debug)]
pub struct Outcome {
    /// What the analyzer made of it.
    pub result: Result<Plan, Error>,
    /// Required libraries that are not ready in it.
    pub missing: Vec<String>,
}

impl Outcome {
    /// Plans one file.
    pub fn of(target: &Target, cli: &Cli) -> Self {
        let mut result = analyzer::plan_file(&target.path, &Options::default(), &cli.debug_root);
        if let Err(error) = &mut result {
            error.file.clone_from(&target.name);
        }
        if let Ok(plan) = &mut result {
            plan.file.clone_from(&target.name);
        }
        let ready = |id: &String| {
            result
                .as_ref()
                .is_ok_and(|plan| plan.libraries.iter().any(|l| l.id == *id && l.verdict == Verdict::Ready))
        };
        let missing = cli.require.iter().filter(|id| !ready(id)).cloned().collect();
        Outcome { result, missing }
    }

    /// The status of this file alone.
    pub fn status(&self) -> Status {
        let Ok(plan) = &self.result else { return Status::Unreadable };
        let instrumentable = |l: &&Library| l.status == Tracing::Instrumented;
        let mut libraries = plan.libraries.iter().filter(instrumentable).peekable();
        if !self.missing.is_empty() {
            Status::NotReady
        } else if libraries.peek().is_none() {
            Status::Nothing
        } else if libraries.all(|l| l.verdict == Verdict::Ready) {
            Status::Ready
        } else {
            Status::NotReady
        }
    }
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
}
