//! What came of a case.

use super::agent::Used;

/// What came of a case.
#[derive(Debug)]
pub struct Outcome {
    /// What has to hold, in words.
    pub target: String,
    /// What was measured, in words.
    pub figure: String,
    /// Whether the figure meets the target.
    pub met: bool,
    /// What the agent used during the case, and what it lost.
    pub used: Used,
}
