//! What guard needs, and what it tells.

use std::sync::{Arc, mpsc};

use super::state::Reason;
use crate::{
    config::SwitchedOff,
    discover::Target,
    libraries::Sampling,
    planning::Own,
    programs::Programs,
    records::Gone,
    sources::{Source, Sources},
};

/// Who has to hear which process a generation is: drain.
pub trait Audience: Send {
    /// Before the programs are told of it.
    fn know(&self, tgid: u32, generation: u32, source: Arc<Source>);
    /// After they have forgotten it: what is in the ring still counts.
    fn forget(&self, tgid: u32, generation: u32);
    /// What it never ends had to give way, and is counted.
    fn gave_way(&self, gone: Gone);
}

/// A process's spans lack what a library could add that waits for that
/// ([`crate::libraries::Library::waits_until_missed`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// In the kernel.
    pub tgid: u32,
    /// Its number there.
    pub generation: u32,
}

/// What guard needs.
pub struct Parts {
    /// What the user asked for.
    pub target: Target,
    /// The loaded programs.
    pub programs: Programs,
    /// What every process is configured with.
    pub sampling: Sampling,
    /// Libraries that are not traced.
    pub off: SwitchedOff,
    /// Who processes are.
    pub sources: Sources,
    /// What drain has missed.
    pub wishes: mpsc::Receiver<Wish>,
    /// Who hears of them.
    pub audience: Box<dyn Audience>,
    /// What is planned beside the embedded catalog.
    pub own: Own,
}

/// What guard tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// This process is traced now.
    Traced(u32),
    /// This process runs and is not traced, for this reason.
    NotTraced {
        /// Its id.
        pid: u32,
        /// Why.
        reason: Reason,
    },
    /// There is no such process any more.
    Ended(u32),
    /// guard cannot go on.
    Failed(String),
}
