//! One build to be, and what became of it.

use offsets::Version;
use offsets::database::format::{Hole, Tested};

use super::journal::Built;
use crate::go::release::Release;
use crate::probe::wanted::Wanted;

/// One build to be.
pub struct Task<'a> {
    /// Its place in the order.
    pub version: Version,
    /// As the module has it.
    pub text: String,
    /// What for ([`crate::probe::axis::Axis`]).
    pub axis: String,
    /// Which toolchains to try, the first first.
    pub toolchains: Vec<Release>,
    /// What to look for.
    pub wanted: Wanted<'a>,
    /// The record, as far as it is known without a build.
    pub tested: Tested,
    /// Whether it may follow another.
    pub may_follow: bool,
    /// It is recorded already and only others may follow it.
    pub recorded: bool,
}

/// What became of a task; its place in the list is kept.
pub enum Outcome {
    /// It was built, or follows (`tested.same_as`).
    Built(Box<Built>),
    /// It was not.
    Failed(Hole),
}

/// What a phase has done.
pub struct Done {
    /// By place in the list; those that were not begun have none.
    pub outcomes: Vec<Option<Outcome>>,
    /// Whether the proxy has failed.
    pub interrupted: bool,
}
