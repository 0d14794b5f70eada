//! Processes: looked at, in their file's set, configured, gone.

use super::{
    State,
    backoff::Backoff,
    event::{Action, Failure, Inode, Look, Moment, ProcessKey, Reason, Sight},
    process::{Gate, LOOK_PATIENCE, Looking, Process},
};

impl State {
    /// What it ran is gone, and so is its configuration: nobody knows yet what it runs now.
    pub(super) fn executed(&mut self, pid: u32) {
        match self.processes.get_mut(&pid).map(|process| &mut process.gate) {
            Some(gate @ Gate::Waits) => *gate = Gate::Passed,
            _ => self.forget(pid),
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            (process.retry, process.told) = (Backoff::default(), false);
        }
        self.look(pid, self.now, Backoff::default());
    }

    pub(super) fn found(&mut self, pid: u32) {
        if !self.looks.contains_key(&pid) {
            self.look(pid, self.now, Backoff::default());
        }
    }

    pub(super) fn look(&mut self, pid: u32, since: Moment, retry: Backoff) {
        self.ticket += 1;
        self.looks.insert(pid, Looking { ticket: self.ticket, since, retry });
        self.actions.push(Action::Look { pid, ticket: self.ticket });
    }

    /// The answer to a look. One to an older question is ignored: what has been executed since would be undone.
    pub(super) fn looked(&mut self, pid: u32, ticket: u64, look: Look) {
        if self.looks.get(&pid).is_none_or(|looking| looking.ticket != ticket) {
            return;
        }
        let Some(mut looking) = self.looks.remove(&pid) else { return };
        match look {
            Look::Runs(sight) => self.seen(pid, sight),
            Look::Unwanted | Look::Gone => self.drop_process(pid),
            Look::Failed(Failure::Passing(_)) if looking.retry.again(self.now) => {
                self.looks.insert(pid, looking);
            }
            Look::Failed(failure) => {
                self.drop_process(pid);
                self.actions.push(Action::NotTraced { pid, reason: failure.into() });
            }
        }
    }

    /// A process that is wanted is about to execute this file.
    pub(super) fn announced(&mut self, pid: u32, sight: Sight) {
        self.seen(pid, sight);
        if let Some(process) = self.processes.get_mut(&pid) {
            process.gate = Gate::Waits;
        }
    }

    /// A process that is wanted runs this file now.
    pub(super) fn seen(&mut self, pid: u32, sight: Sight) {
        if self.processes.get(&pid).is_some_and(|process| process.started != sight.started) {
            self.drop_process(pid);
        }
        let before = self.processes.get(&pid).map(|process| (process.file, process.image));
        if before.is_none() {
            self.processes.insert(pid, Process::new(&sight));
            self.actions.push(Action::Watch(ProcessKey { pid, started: sight.started }));
        }
        let gate = self.processes.get_mut(&pid).map(|p| std::mem::replace(&mut p.gate, Gate::Open));
        let as_announced =
            gate == Some(Gate::Passed) && before.is_some_and(|(file, _)| file == Some(sight.file));
        if as_announced {
            self.know_anew(pid, sight.file);
        } else if before != Some((Some(sight.file), sight.image)) {
            self.forget(pid);
        }
        if before.is_some_and(|(file, _)| file.is_some_and(|file| file != sight.file)) {
            self.leave(pid);
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            let arrives = process.file != Some(sight.file);
            process.file = Some(sight.file);
            process.image = sight.image;
            self.arrive(pid, &sight, arrives);
        }
    }

    /// It is what was announced: what its spans say of it is looked up again, since at its gate it was strobe's own child.
    fn know_anew(&mut self, pid: u32, file: Inode) {
        if let Some(process) = self.processes.get(&pid)
            && let Some(generation) = process.generation
        {
            let process = ProcessKey { pid, started: process.started };
            self.actions.push(Action::Configure { process, generation, file });
        }
    }

    pub(super) fn exited(&mut self, process: ProcessKey) {
        if self.processes.get(&process.pid).is_some_and(|known| known.started == process.started) {
            self.drop_process(process.pid);
        }
    }

    pub(super) fn configure_failed(&mut self, process: ProcessKey, generation: u32, failure: Failure) {
        let Some(known) = self.processes.get_mut(&process.pid) else { return };
        if known.started != process.started || known.generation != Some(generation) {
            return;
        }
        known.generation = None;
        let reason = match failure {
            // It is out of its file's set until then: a process that is not traced needs no probes.
            Failure::Passing(_) if known.retry.again(self.now) => None,
            failure => Some(failure.into()),
        };
        if let Some(reason) = reason {
            self.tell(process.pid, &reason);
        }
        self.leave(process.pid);
    }

    /// Looks whose time has come again; and processes that have been unknown for too long count as their file's no more.
    pub(super) fn tick_looks(&mut self) {
        let now = self.now;
        let mut due = Vec::new();
        let mut unknown = Vec::new();
        for (pid, looking) in &mut self.looks {
            if looking.retry.wake(now) {
                due.push((*pid, looking.since, looking.retry));
            }
            if now.saturating_sub(looking.since) >= LOOK_PATIENCE {
                unknown.push(*pid);
            }
        }
        for (pid, since, retry) in due {
            self.look(pid, since, retry);
        }
        for pid in unknown {
            self.forget(pid);
            self.leave(pid);
        }
    }

    /// Processes whose configuration failed are looked at again when their time has come.
    pub(super) fn tick_processes(&mut self) {
        let now = self.now;
        let due: Vec<u32> = self
            .processes
            .iter_mut()
            .filter_map(|(pid, process)| process.retry.wake(now).then_some(*pid))
            .collect();
        for pid in due {
            self.found(pid);
        }
    }

    /// Configures those of a probed file that are not; each time with a number of its own.
    pub(super) fn configure(&mut self, file: Inode, pids: Vec<u32>) {
        for pid in pids {
            let Some(process) = self.processes.get_mut(&pid) else { continue };
            if process.generation.is_some() || self.looks.contains_key(&pid) {
                continue;
            }
            self.generation = self.generation.checked_add(1).unwrap_or(1);
            process.generation = Some(self.generation);
            process.told = false;
            let process = ProcessKey { pid, started: process.started };
            self.actions.push(Action::Configure { process, generation: self.generation, file });
        }
    }

    /// The programs are not to trace it any more.
    pub(super) fn forget(&mut self, pid: u32) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if let Some(generation) = process.generation.take() {
            let process = ProcessKey { pid, started: process.started };
            self.actions.push(Action::Forget { process, generation });
        }
    }

    /// Says once that it is not traced.
    pub(super) fn tell(&mut self, pid: u32, reason: &Reason) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if !process.told {
            process.told = true;
            self.actions.push(Action::NotTraced { pid, reason: reason.clone() });
        }
    }

    /// It is out of the set of its file.
    pub(super) fn leave(&mut self, pid: u32) {
        let Some(file) = self.processes.get_mut(&pid).and_then(|process| process.file.take()) else { return };
        self.left(file, pid);
    }

    fn drop_process(&mut self, pid: u32) {
        self.forget(pid);
        self.leave(pid);
        if let Some(process) = self.processes.remove(&pid) {
            self.actions.push(Action::Unwatch(ProcessKey { pid, started: process.started }));
        }
    }
}
