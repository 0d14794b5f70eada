//! Who runs what: what the kernel tells of programs that start, and what the looks bring.

use std::path::PathBuf;

use tracing::{debug, info, warn};

use super::Worker;
use crate::{
    discover::{OpenError, ProcessId, Target},
    guard::{
        look::{self, Job},
        message::{Answer, Found, Looked},
        parts::News,
        state::{Event, Failure, Inode, Look, Reason, Sight},
    },
};

/// So many lines about processes that may not be looked at are remembered, so as not to be said again.
const MAX_REFUSED_LOOKS: usize = 1024;

impl Worker {
    pub(super) fn take_exec_events(&mut self) {
        while let Some(event) = self.exec_ring.next_event() {
            if event.pid != 0 {
                let id = ProcessId { pid: event.pid, tgid: event.tgid };
                self.asked.insert(event.pid, (id, event.followed));
                self.on(Event::Executed(event.pid));
            }
        }
    }

    pub(super) fn find_running(&mut self) {
        let running = match self.watch.running() {
            Ok(running) => running,
            Err(error) => return warn!("looking for processes that run already: {error}"),
        };
        for id in running {
            self.asked.entry(id.pid).or_insert((id, 0));
            self.on(Event::Found(id.pid));
        }
    }

    pub(super) fn find_first(&mut self) {
        if let Target::Pid(pid) | Target::Tree(pid) = self.target {
            match self.watch.id_of(pid) {
                Ok(Some(id)) => drop(self.asked.insert(pid, (id, 0))),
                Ok(None) => {}
                Err(error) => warn!(pid, "{error}"),
            }
            self.on(Event::Found(pid));
        }
        if !matches!(self.target, Target::Pid(_)) {
            self.find_running();
        }
        if matches!(self.target, Target::Exe(_)) {
            self.is_first_look = true;
            self.say_what_is_waited_for();
        }
    }

    pub(super) fn say_what_is_waited_for(&mut self) {
        if !self.is_first_look || self.state.is_looking() {
            return;
        }
        self.is_first_look = false;
        for path in &self.absent {
            let path = path.display();
            info!("{path}: not on this file system: waiting for a process that calls its executable so");
        }
        if self.state.processes() == 0 {
            info!("waiting for a process of {}", self.waits_for);
        }
    }

    pub(super) fn looked(&mut self, looked: Looked) {
        let Looked { pid, ticket, found, wanted } = looked;
        if let (Ok(Some(found)), Some(known)) = (&found, self.tables.processes.get_mut(&pid))
            && found.process.start_ticks == known.key.started
        {
            known.runs = found.process.inode();
            known.program = found.program();
        }
        // What has no executable is no process to the state machine either, but the user asked for it by its number.
        let nothing = match &found {
            Err(error @ OpenError::KernelThread { .. }) => {
                format!("{error}: there is nothing in it to trace")
            }
            _ => format!("process {pid}: there is no such process"),
        };
        let look = match found {
            Ok(Some(found)) => match self.sight(found) {
                Ok(sight) => Look::Runs(sight),
                Err(error) => self.failed_look(&error, wanted),
            },
            Ok(None) => Look::Unwanted,
            Err(error) => self.failed_look(&error, wanted),
        };
        if look == Look::Gone && self.target == Target::Pid(pid) && !self.tables.processes.contains_key(&pid)
        {
            (self.news)(News::NotTraced { pid, reason: nothing.into() });
        }
        self.on(Event::Looked { pid, ticket, look });
        self.in_hand = None;
        self.say_what_is_waited_for();
    }

    /// What was seen, checked once more now that its execs are followed.
    pub(super) fn sight(&mut self, found: Found) -> Result<Sight, OpenError> {
        let failed =
            |what, error: std::io::Error| OpenError::Failed { pid: found.process.id.pid, what, error };
        let tgid = found.process.id.tgid;
        let followed = match self.target {
            Target::Tree(_) => self.watch.follow_tree(tgid),
            Target::Pid(_) | Target::Exe(_) => self.watch.follow(tgid),
        };
        followed.map_err(|error| failed("following what it executes", std::io::Error::other(error)))?;
        found.process.still_the_same()?;
        let sight = self.sight_of(&found).map_err(|error| failed("finding its executable's inode", error))?;
        self.in_hand = Some(found);
        Ok(sight)
    }

    pub(super) fn sight_of(&mut self, found: &Found) -> std::io::Result<Sight> {
        let inode = self.watch.kernel_inode(&mut self.programs, &found.file)?;
        let file = Inode { dev: inode.dev, ino: inode.ino };
        let Found { process, content, image, .. } = found;
        Ok(Sight { started: process.start_ticks, image: *image, file, content: *content })
    }

    pub(super) fn failed_look(&mut self, error: &OpenError, wanted: bool) -> Look {
        match error {
            OpenError::Gone { .. } | OpenError::KernelThread { .. } => Look::Gone,
            OpenError::TryAgain { what, error: cause, .. } => {
                // Once, not for each process that is looked at again and again meanwhile.
                if self.refused_looks.insert(format!("{what}: {cause}")) {
                    warn!("not traced yet: {error}");
                }
                Look::Failed(Failure::Passing(error.to_string()))
            }
            // A stranger's process that may not be looked at is not the user's concern.
            OpenError::NotAllowed { .. } | OpenError::Failed { .. }
                if matches!(self.target, Target::Exe(_)) =>
            {
                let text = error.to_string();
                // Each look at all processes comes by it again.
                if wanted && self.refused_looks.insert(text.clone()) {
                    warn!("not traced: {text}");
                } else {
                    debug!("{text}");
                }
                if self.refused_looks.len() > MAX_REFUSED_LOOKS {
                    self.refused_looks.clear();
                }
                Look::Unwanted
            }
            OpenError::NotAllowed { .. } => {
                Look::Failed(Failure::Final(Reason { not_allowed: true, ..error.to_string().into() }))
            }
            OpenError::Failed { .. } => Look::Failed(Failure::Final(error.to_string().into())),
        }
    }

    pub(super) fn prepare(&mut self, pid: u32, file: std::fs::File, name: PathBuf, answer: Answer) {
        let id = match self.watch.id_of(pid) {
            Ok(Some(id)) => id,
            Ok(None) => ProcessId { pid, tgid: pid },
            Err(error) => return drop(answer.send(Err(error.to_string().into()))),
        };
        let sight = look::announced(id, file, name).and_then(|found| self.sight(found));
        match sight {
            Ok(sight) => {
                self.preparing.insert(pid, answer);
                self.on(Event::Announced { pid, sight });
                self.in_hand = None;
            }
            Err(error) => drop(answer.send(Err(error.to_string().into()))),
        }
    }

    pub(super) fn ask_look(&mut self, pid: u32, ticket: u64) {
        let known = self.tables.processes.get(&pid);
        let ran = known.map(|known| (known.key.started, known.runs));
        let known = known.map(|known| (known.id, 0));
        let (id, followed) = self.asked.remove(&pid).or(known).unwrap_or((ProcessId { pid, tgid: pid }, 0));
        // It ends only with this thread.
        let _ = self.looker.send(Job::Look { id, followed, ran, ticket });
    }
}
