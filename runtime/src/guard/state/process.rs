//! A process that is wanted, and a look at one.

use std::time::Duration;

use super::{
    backoff::Backoff,
    event::{Inode, Moment, Sight},
};

/// How long a process that executed something counts as one of its old file's while nobody can say what it executed.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// A process that is wanted.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) started: u64,
    pub(super) image: u64,
    /// The file in whose set it is; none: nobody knows what it runs, or it is out for a while after a failure.
    pub(super) file: Option<Inode>,
    /// What the programs know it by; none: they do not trace it.
    pub(super) generation: Option<u32>,
    /// Whether it was announced before it executed its file.
    pub(super) gate: Gate,
    /// After a configuration that failed.
    pub(super) retry: Backoff,
    /// It was said that it is not traced, and why.
    pub(super) told: bool,
}

/// A process that `strobe exec` announces is configured before it executes its file, and stays so when it does: its first
/// request is traced however late the agent hears of the execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// It waits to execute what was announced.
    Waits,
    /// It has executed something, and nobody has looked yet.
    Passed,
    /// It runs what it was seen to run.
    Open,
}

/// A look that was asked for.
#[derive(Debug)]
pub(super) struct Looking {
    pub(super) ticket: u64,
    /// When it became unknown what this process runs.
    pub(super) since: Moment,
    /// After a look that failed; while one is due, none is under way.
    pub(super) retry: Backoff,
}

impl Process {
    pub(super) fn new(sight: &Sight) -> Self {
        Self {
            started: sight.started,
            image: sight.image,
            file: None,
            generation: None,
            gate: Gate::Open,
            retry: Backoff::default(),
            told: false,
        }
    }
}
