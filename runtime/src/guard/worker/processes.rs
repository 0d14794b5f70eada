//! Processes: waited for, told to the programs and to drain, and forgotten.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    sync::Arc,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use runtime_ebpf::abi;
use tracing::{debug, info, warn};

use super::{PIDFD, Worker};
use crate::{
    discover::Target,
    guard::{
        look::Job,
        message::{Facts, Message},
        parts::News,
        state::{Event, Failure, Inode, ProcessKey, Reason},
        tables::Known,
    },
};

impl Worker {
    pub(super) fn watch_process(&mut self, key: ProcessKey) {
        let Some(found) = &self.in_hand else { return };
        let pidfd = match found.process.pidfd().try_clone_to_owned() {
            Ok(pidfd) => pidfd,
            Err(error) => return self.unwatchable(key, &error.into()),
        };
        if let Err(error) = self.poll_for(pidfd.as_fd(), PIDFD + u64::from(key.pid)) {
            return self.unwatchable(key, &error);
        }
        let (id, runs) = (found.process.id, found.process.inode());
        let program = found.program();
        let known = Known { key, id, runs, program, pidfd, pending: None, traced: None, said: None };
        self.tables.processes.insert(key.pid, known);
    }

    /// Whose end nobody would see cannot be traced. It is as good as gone, and looked at again when it executes something.
    pub(super) fn unwatchable(&mut self, key: ProcessKey, error: &anyhow::Error) {
        warn!("pid {}: not traced: waiting for its end: {error:#}", key.pid);
        let messages = self.door.clone();
        messages.send(Message::Ended(key));
    }

    pub(super) fn unwatch(&mut self, key: ProcessKey) {
        let Some(known) = self.tables.processes.remove(&key.pid) else { return };
        self.tables.switching.remove(&key.pid);
        if let Err(error) = self.epoll.delete(&known.pidfd) {
            debug!("pid {}: {error}", key.pid);
        }
        if known.said.is_some() {
            info!("pid {} is not traced any more", key.pid);
        }
        (self.news)(News::Ended(key.pid));
    }

    pub(super) fn configure(&mut self, process: ProcessKey, generation: u32, file: Inode) {
        let ready = self.tables.plans.get(&file).map(|ready| Arc::clone(&ready.plan));
        let (Some(known), Some(plan)) = (self.tables.processes.get_mut(&process.pid), ready) else { return };
        known.pending = Some((generation, file));
        let is_announced = self.preparing.contains_key(&process.pid);
        let announced = self.tables.names.get(&file).filter(|_| is_announced).cloned();
        let job = Job::Facts { id: known.id, process, generation, plan, announced };
        // It ends only with this thread.
        let _ = self.looker.send(job);
    }

    pub(super) fn forget(&mut self, process: ProcessKey, generation: u32) {
        let Some(known) = self.tables.processes.get_mut(&process.pid) else { return };
        known.pending = None;
        if known.traced.take().is_none() {
            return;
        }
        let (tgid, has_ended) = (known.id.tgid, has_ended(known.pidfd.as_fd()));
        self.switch_off(process.pid);
        if let Err(error) = self.programs.forget(tgid, has_ended) {
            warn!("pid {}: {error}", process.pid);
        }
        self.audience.forget(tgid, generation);
    }

    pub(super) fn not_traced(&mut self, pid: u32, reason: Reason) {
        // A command may start any number of other programs: that they are no Go programs is no news. And what ends the agent is
        // said by whoever started it, once.
        let said_elsewhere = match self.target {
            Target::Tree(_) => reason.not_go,
            Target::Pid(wanted) => wanted == pid,
            Target::Exe(_) => false,
        };
        if said_elsewhere {
            debug!(pid, "not traced: {reason}");
        } else {
            warn!(pid, "not traced: {reason}");
        }
        if let Some(answer) = self.preparing.remove(&pid) {
            // Whoever waited for it may have given up.
            let _ = answer.send(Err(reason.clone()));
        }
        (self.news)(News::NotTraced { pid, reason });
    }

    /// The process's facts are there: drain hears of it first, then the programs.
    pub(super) fn facts(&mut self, facts: Facts) {
        let Facts { process, generation, source } = facts;
        let Some(known) = self.tables.processes.get_mut(&process.pid).filter(|known| known.key == process)
        else {
            return;
        };
        let Some((_, file)) = known.pending.filter(|(pending, _)| *pending == generation) else { return };
        known.pending = None;
        let (tgid, is_traced) = (known.id.tgid, known.traced == Some(generation));
        let configured = source.and_then(|source| {
            let source = Arc::new(source);
            self.audience.know(tgid, generation, Arc::clone(&source));
            if !is_traced {
                self.trace(tgid, generation, file)?;
            }
            Ok(source)
        });
        match configured {
            Ok(source) => {
                if let Some(known) = self.tables.processes.get_mut(&process.pid) {
                    known.traced = Some(generation);
                }
                self.say_traced(process.pid, file, source.service());
                if !is_traced {
                    self.switch_on(process, file);
                }
            }
            Err(failure) => {
                if is_traced {
                    self.forget(process, generation);
                }
                self.audience.forget(tgid, generation);
                debug!("configuring pid {}: {failure:?}", process.pid);
                self.on(Event::ConfigureFailed { process, generation, failure });
            }
        }
        // An exec from before the programs were told is in the ring by now, and undoes it.
        self.take_exec_events();
    }

    pub(super) fn trace(&mut self, tgid: u32, generation: u32, file: Inode) -> Result<(), Failure> {
        let index = self.tables.index_of(file);
        let index = index.ok_or_else(|| Failure::Passing("its probes have just gone".to_owned()))?;
        let process = abi::Process {
            generation,
            file: index,
            sampler: self.sampling.sampler,
            switches: self.sampling.switches(),
            told: 0,
            entries: [0; abi::TABLES],
        };
        self.programs.trace(tgid, process).map_err(|error| Failure::Passing(error.to_string()))
    }

    pub(super) fn say_traced(&mut self, pid: u32, file: Inode, service: &str) {
        let probes = self.tables.plans.get(&file).map_or(0, |ready| ready.layout.first.probes.len());
        if let Some(known) = self.tables.processes.get_mut(&pid)
            && known.said != Some(file)
        {
            known.said = Some(file);
            info!("tracing pid {pid} ({service}, {probes} probes)");
        }
        (self.news)(News::Traced(pid));
        if let Some(answer) = self.preparing.remove(&pid) {
            // Whoever waited for it may have given up.
            let _ = answer.send(Ok(()));
        }
    }
}

/// Whether none of a process's threads is left: a pidfd can be read then (`pidfd_poll`, fs/pidfs.c).
fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(pidfd, PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
