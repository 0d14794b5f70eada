//! Files: the set of processes that run each, its Plan, its probes.

use super::{
    State,
    backoff::Backoff,
    event::{Action, Failure, Inode, Moment, Sight},
    file::{FileState, KEPT_PLANS, Plan, Probes},
};
use crate::files::FileIdentity;

impl State {
    /// A process runs this file; `arrives`: it did not a moment ago. The look has brought a descriptor.
    pub(super) fn arrive(&mut self, pid: u32, sight: &Sight, arrives: bool) {
        let now = self.now;
        let file = self.files.entry(sight.file).or_insert_with(|| FileState::new(sight.content));
        if arrives {
            if file.processes.is_empty() && file.emptied.is_some() {
                file.restarted = Some(now);
            }
            file.processes.insert(pid);
        }
        if matches!(file.plan, Plan::GivenUp(_, since) if arrives || now >= since + Backoff::LONGEST) {
            (file.plan, file.retry) = (Plan::None, Backoff::default());
        }
        if file.take_content(sight.content) {
            self.outdated(sight.file);
        }
        self.keep(sight.file);
        self.settle(sight.file);
    }

    /// Takes the descriptor that a look has brought, if there is a use for it.
    fn keep(&mut self, key: Inode) {
        if let Some(file) = self.files.get_mut(&key)
            && file.wants_descriptor()
        {
            file.held = true;
            self.actions.push(Action::Keep(key));
        }
    }

    /// A process does not run it any more.
    pub(super) fn left(&mut self, key: Inode, pid: u32) {
        let now = self.now;
        if let Some(file) = self.files.get_mut(&key)
            && file.processes.remove(&pid)
            && file.processes.is_empty()
        {
            file.emptied = Some(now);
        }
        self.settle(key);
    }

    /// A Plan is there, or why there is none. One of another content than the file has now is not used.
    pub(super) fn planned(&mut self, key: Inode, content: FileIdentity, result: Result<(), Failure>) {
        let now = self.now;
        let Some(file) = self.files.get_mut(&key).filter(|file| file.plan == Plan::Running) else { return };
        file.plan = match result {
            _ if file.content != content => {
                file.content = content;
                Plan::None
            }
            Ok(()) => Plan::Ready,
            Err(Failure::Final(reason)) => Plan::Refused(reason),
            Err(Failure::Passing(_)) if file.retry.again(now) => Plan::None,
            Err(Failure::Passing(reason)) => Plan::GivenUp(reason.into(), now),
        };
        if file.plan == Plan::Ready {
            file.retry = Backoff::default();
        }
        self.settle(key);
    }

    pub(super) fn attached(&mut self, key: Inode, attempt: u64, lease: bool) {
        let Some(file) = self.files.get_mut(&key) else { return };
        match file.probes {
            Probes::Attaching { attempt: asked, outdated } if asked == attempt => {
                file.probes = Probes::Attached { attempt, lease };
                file.retry = Backoff::default();
                if outdated {
                    self.detach(key);
                }
                self.settle(key);
            }
            _ => {}
        }
    }

    pub(super) fn attach_failed(&mut self, key: Inode, attempt: u64, failure: Failure) {
        let now = self.now;
        let Some(file) = self.files.get_mut(&key) else { return };
        match file.probes {
            Probes::Attaching { attempt: asked, outdated } if asked == attempt => {
                file.probes = Probes::Detached;
                match failure {
                    _ if outdated => {}
                    Failure::Passing(_) if file.retry.again(now) => {}
                    Failure::Passing(reason) => file.plan = Plan::GivenUp(reason.into(), now),
                    Failure::Final(reason) => file.plan = Plan::Refused(reason),
                }
                self.settle(key);
            }
            _ => {}
        }
    }

    /// It was not attached, since the file has another content than the Plan.
    pub(super) fn not_as_planned(&mut self, key: Inode, attempt: u64, content: FileIdentity) {
        let Some(file) = self.files.get_mut(&key) else { return };
        match file.probes {
            Probes::Attaching { attempt: asked, .. } if asked == attempt => {
                (file.probes, file.content) = (Probes::Detached, content);
                self.outdated(key);
                self.settle(key);
            }
            _ => {}
        }
    }

    /// Its probes are gone. Unasked, that is no news of its processes: all of them are looked at before anything is attached
    /// again.
    pub(super) fn detached(&mut self, key: Inode, attempt: u64) {
        let Some(file) = self.files.get_mut(&key) else { return };
        let asked = match file.probes {
            Probes::Detaching { attempt: gone } if gone == attempt => true,
            Probes::Attached { attempt: gone, .. } if gone == attempt => false,
            _ => return,
        };
        file.probes = Probes::Detached;
        let pids = file.processes.clone();
        if !asked {
            file.held = false;
            self.actions.push(Action::Close(key));
        }
        for pid in pids {
            self.forget(pid);
            if !asked {
                self.found(pid);
            }
        }
        self.settle(key);
    }

    /// The content is another than what was planned and probed: all of it has to be done again.
    fn outdated(&mut self, key: Inode) {
        let Some(file) = self.files.get_mut(&key) else { return };
        if file.plan != Plan::Running {
            file.plan = Plan::None;
            file.retry = Backoff::default();
        }
        match &mut file.probes {
            Probes::Attaching { outdated, .. } => *outdated = true,
            Probes::Attached { .. } => self.detach(key),
            Probes::Detached | Probes::Detaching { .. } => {}
        }
    }

    fn detach(&mut self, key: Inode) {
        if let Some(file) = self.files.get_mut(&key)
            && let Probes::Attached { attempt, .. } = file.probes
        {
            file.probes = Probes::Detaching { attempt };
            self.actions.push(Action::Detach { file: key, attempt });
        }
    }

    /// Brings a file to where its set says that it should be, as far as nobody is working at it.
    pub(super) fn settle(&mut self, key: Inode) {
        let now = self.now;
        let Some(file) = self.files.get(&key) else { return };
        match file.probes {
            Probes::Attached { lease, .. } if file.processes.is_empty() && !file.lingers(lease, now) => {
                self.detach(key);
            }
            Probes::Attached { .. } => {
                let pids = file.processes.iter().copied().collect();
                self.configure(key, pids);
            }
            Probes::Detached if !file.processes.is_empty() => self.advance(key),
            Probes::Detached | Probes::Attaching { .. } | Probes::Detaching { .. } => {}
        }
        self.let_go(key);
    }

    /// A file with processes and without probes: the next step towards them.
    fn advance(&mut self, key: Inode) {
        let Some(file) = self.files.get_mut(&key) else { return };
        match &file.plan {
            Plan::Refused(reason) | Plan::GivenUp(reason, _) => {
                let (reason, pids) = (reason.clone(), file.processes.clone());
                for pid in pids {
                    self.tell(pid, &reason);
                }
            }
            Plan::None | Plan::Ready if file.retry.due.is_some() => {}
            Plan::None | Plan::Ready if !file.held => {
                let pids = file.processes.clone();
                // A look brings a descriptor. Whoever is being looked at brings it anyway.
                if !pids.iter().any(|pid| self.looks.contains_key(pid))
                    && let Some(pid) = pids.first()
                {
                    self.found(*pid);
                }
            }
            Plan::None => {
                file.plan = Plan::Running;
                self.actions.push(Action::Plan(key));
            }
            Plan::Ready => {
                self.attempt += 1;
                file.probes = Probes::Attaching { attempt: self.attempt, outdated: false };
                self.actions.push(Action::Attach { file: key, attempt: self.attempt, content: file.content });
            }
            Plan::Running => {}
        }
    }

    /// Nothing is held open that is neither probed nor being planned, and only some Plans are kept for the next start.
    fn let_go(&mut self, key: Inode) {
        let Some(file) = self.files.get_mut(&key) else { return };
        if file.probes != Probes::Detached || file.plan == Plan::Running {
            return;
        }
        if file.held {
            file.held = false;
            self.actions.push(Action::Close(key));
        }
        if !file.processes.is_empty() {
            return;
        }
        if matches!(file.plan, Plan::None | Plan::GivenUp(..)) {
            self.files.remove(&key);
            self.actions.push(Action::DropPlan(key));
            return;
        }
        self.drop_old_plans();
    }

    fn drop_old_plans(&mut self) {
        let mut idle: Vec<(Option<Moment>, Inode)> = self
            .files
            .iter()
            .filter(|(_, file)| file.processes.is_empty() && file.is_settled())
            .map(|(key, file)| (file.emptied, *key))
            .collect();
        idle.sort_unstable();
        let excess = idle.len().saturating_sub(KEPT_PLANS);
        for (_, key) in idle.into_iter().take(excess) {
            self.files.remove(&key);
            self.actions.push(Action::DropPlan(key));
        }
    }
}
