//! Which file is probed and which process is configured: guard's decisions, without any of its deeds.
//!
//! Events go in, actions come out; no system call is made here, and time is an argument. So a model can drive it through
//! sequences that no machine shows in a year (`model`). The rule that it keeps is: **a file is probed exactly while a process
//! that is wanted runs it**, and under a lease, for a file that is being started again and again, [`LINGER`] longer.
//!
//! ```text
//!  exec event ─► Executed ─► Look ─► Looked ─► (file's set) ─► Plan ─► Planned ─► Attach ─► Attached ─► Configure
//!  pidfd ──────► Exited ───► Forget, out of the set ─► the set is empty: Detach ─► Detached ─► Close
//!  a writer ───► Detached, unasked (the keeper has let go already) ─► Look at all of its processes again
//! ```
//!
//! Sets, never counters: a process that is announced twice is in its file's set once. What somebody is still working at (a
//! look, a Plan, an attachment) carries a number; an answer with another number than the last question's is as good as none.

mod backoff;
mod event;
mod file;
mod files;
mod process;
mod processes;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use backoff::TRIES;
pub use event::{Action, Event, Failure, Inode, Look, Moment, ProcessKey, Reason, Sight};
pub use file::{KEPT_PLANS, LINGER};
pub use process::LOOK_PATIENCE;

use file::FileState;
use process::{Looking, Process};

/// All that guard knows.
#[derive(Debug, Default)]
pub struct State {
    processes: BTreeMap<u32, Process>,
    looks: BTreeMap<u32, Looking>,
    files: BTreeMap<Inode, FileState>,
    /// Given out last; a look, an attachment and a generation never have one that was used before.
    ticket: u64,
    attempt: u64,
    generation: u32,
    now: Moment,
    actions: Vec<Action>,
}

impl State {
    /// Takes an event in; gives what is to be done, in this order.
    pub fn on(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.now = now;
        match event {
            Event::Executed(pid) => self.executed(pid),
            Event::Found(pid) => self.found(pid),
            Event::Looked { pid, ticket, look } => self.looked(pid, ticket, look),
            Event::Announced { pid, sight } => self.announced(pid, sight),
            Event::Exited(process) => self.exited(process),
            Event::Planned { file, content, result } => self.planned(file, content, result),
            Event::Attached { file, attempt, lease } => self.attached(file, attempt, lease),
            Event::AttachFailed { file, attempt, failure } => self.attach_failed(file, attempt, failure),
            Event::NotAsPlanned { file, attempt, content } => self.not_as_planned(file, attempt, content),
            Event::Detached { file, attempt } => self.detached(file, attempt),
            Event::ConfigureFailed { process, generation, failure } => {
                self.configure_failed(process, generation, failure);
            }
            Event::Tick => self.tick(),
        }
        let mut actions = std::mem::take(&mut self.actions);
        // What is said is true by then: a refused file is not held open any more.
        actions.sort_by_key(|action| matches!(action, Action::NotTraced { .. }));
        actions
    }

    /// Is nobody working at anything, and is nothing waiting for its time?
    pub fn is_settled(&self) -> bool {
        self.looks.is_empty()
            && self.files.values().all(FileState::is_settled)
            && self.processes.values().all(|process| process.retry.due.is_none())
    }

    /// Is any process being looked at?
    pub fn is_looking(&self) -> bool {
        !self.looks.is_empty()
    }

    /// Processes that are known, traced or not.
    pub fn processes(&self) -> usize {
        self.processes.len()
    }

    /// Processes that the programs trace.
    pub fn traced(&self) -> usize {
        self.processes.values().filter(|process| process.generation.is_some()).count()
    }

    fn tick(&mut self) {
        self.tick_looks();
        self.tick_processes();
        let files: Vec<Inode> = self.files.keys().copied().collect();
        for file in files {
            if let Some(state) = self.files.get_mut(&file) {
                state.retry.wake(self.now);
            }
            self.settle(file);
        }
    }
}
