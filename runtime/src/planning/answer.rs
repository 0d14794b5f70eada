//! What comes of planning a file.

use analyzer::Plan;

/// Why there is no Plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// This content has no Plan, and will have none: the answer may be kept.
    #[error("{0}")]
    Refused(String),
    /// The file is no Go program: a script, a wrapper, something else. The answer may be kept.
    #[error("{0}")]
    NotGo(String),
    /// The machine or strobe lacked something at that moment (descriptors, processes, memory), which says nothing of the file.
    #[error("{0}: it will be tried again")]
    TryAgain(String),
}

/// A Plan, with what the child had to say on the way.
#[derive(Debug)]
pub struct Planned {
    /// The Plan.
    pub plan: Plan,
    /// A step of giving up privileges that could not be taken, each a line.
    pub warnings: Vec<String>,
}
