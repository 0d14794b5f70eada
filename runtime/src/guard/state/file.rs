//! A file: who runs it, its Plan, its probes.

use std::{collections::BTreeSet, time::Duration};

use super::{
    backoff::Backoff,
    event::{Moment, Reason},
};
use crate::files::FileIdentity;

/// How long probes may stay after a file's last process under a lease, and how recently it must have been started again.
/// Taking them out may wait for a loaded machine: five seconds after the end they are gone.
pub const LINGER: Duration = Duration::from_secs(4);

/// Files without processes whose Plan, or refusal, is kept for the next start.
pub const KEPT_PLANS: usize = 16;

/// A file that is, or lately was, run by a process that is wanted.
#[derive(Debug)]
pub(super) struct FileState {
    /// As the last look, planning or attachment found it. Looks overtake each other, so it may be an old one; what is planned and
    /// what is attached say themselves what they had before them.
    pub(super) content: FileIdentity,
    /// A descriptor of it is open: while it is planned, and while there are probes or a lease.
    pub(super) held: bool,
    pub(super) plan: Plan,
    pub(super) probes: Probes,
    /// Who runs it.
    pub(super) processes: BTreeSet<u32>,
    /// When its last process ended.
    pub(super) emptied: Option<Moment>,
    /// When it was started after its last process had ended.
    pub(super) restarted: Option<Moment>,
    /// After planning or attaching that failed.
    pub(super) retry: Backoff,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    None,
    /// Of this content, which may have changed by the time it is there.
    Running,
    Ready,
    /// For good, as long as the content is the same.
    Refused(Reason),
    /// Tried often enough, until then; the next start tries again, or a look a while later.
    GivenUp(Reason, Moment),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probes {
    Detached,
    Attaching { attempt: u64, outdated: bool },
    Attached { attempt: u64, lease: bool },
    Detaching { attempt: u64 },
}

impl FileState {
    pub(super) fn new(content: FileIdentity) -> Self {
        Self {
            content,
            held: false,
            plan: Plan::None,
            probes: Probes::Detached,
            processes: BTreeSet::new(),
            emptied: None,
            restarted: None,
            retry: Backoff::default(),
        }
    }

    /// Nobody is working at it and nothing waits for its time.
    pub(super) fn is_settled(&self) -> bool {
        let busy = matches!(self.probes, Probes::Attaching { .. } | Probes::Detaching { .. });
        let lingers = self.processes.is_empty() && self.probes != Probes::Detached;
        !busy && !lingers && self.plan != Plan::Running && self.retry.due.is_none()
    }

    /// Takes the content that a look has found; true: it was written to since what was known.
    pub(super) fn take_content(&mut self, content: FileIdentity) -> bool {
        let written = !content.is_unwritten_since(&self.content);
        // While somebody runs it, and while there is a lease, nobody can write to it: then another change time is chmod, chown,
        // ln or rename. Otherwise it may be a write that put the old times back.
        let guarded = self.probes != Probes::Detached;
        let is_new = written || (!guarded && content != self.content);
        self.content = content;
        is_new
    }

    pub(super) fn wants_descriptor(&self) -> bool {
        !self.held && !matches!(self.plan, Plan::Refused(_) | Plan::GivenUp(..)) && self.retry.due.is_none()
    }

    /// It is being started again and again, and nobody can write to it: its probes stay for a while after the last process.
    pub(super) fn lingers(&self, lease: bool, now: Moment) -> bool {
        let Some(emptied) = self.emptied else { return false };
        let again = self.restarted.is_some_and(|at| emptied.saturating_sub(at) < LINGER);
        lease && again && now < emptied + LINGER
    }
}
