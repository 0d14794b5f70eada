//! Answers to what the state machine has asked for, right ones and failures.

use super::work::Work;
use super::{Machine, Probed, inode};
use crate::files::FileIdentity;
use crate::guard::state::{Event, Failure, Inode, Look, Sight};

impl Machine {
    pub(super) fn go_on(&mut self) {
        let index = self.random.pick(self.work.len());
        // Answers come in any order, but what one descriptor says comes in the order in which it was said.
        match self.work.remove(index) {
            Work::Look { pid, ticket, found: None } => {
                let look = self.look(pid);
                self.work.push(Work::Look { pid, ticket, found: Some(look) });
            }
            Work::Look { pid, ticket, found: Some(look) } => self.give(Event::Looked { pid, ticket, look }),
            Work::Plan(file) => self.plan(file),
            Work::Attach { file, attempt, content } => self.attach(file, attempt, content),
            Work::Detach { file, attempt } => {
                if self.probed.get(&file).is_some_and(|probed| probed.attempt == attempt) {
                    self.unprobe(file);
                }
            }
            Work::Deliver(event) => self.give(event),
        }
    }

    pub(super) fn look(&mut self, pid: u32) -> Look {
        if self.failures && self.random.one_in(10) {
            return Look::Failed(self.failure());
        }
        match self.processes.get(&pid) {
            None => Look::Gone,
            Some(real) => Look::Runs(Sight {
                started: real.started,
                image: real.image,
                file: inode(real.file),
                content: self.content(real.file),
            }),
        }
    }

    pub(super) fn plan(&mut self, file: Inode) {
        self.planning.remove(&file);
        let content = self.content(file.ino);
        let number = self.contents.get(&file.ino).copied().unwrap_or(0);
        let result = if self.failures && self.random.one_in(6) {
            Err(self.failure())
        } else if Self::is_refused(number) {
            Err(Failure::Final("nothing in it".into()))
        } else {
            self.plans.insert(file, content);
            Ok(())
        };
        self.give(Event::Planned { file, content, result });
    }

    pub(super) fn attach(&mut self, file: Inode, attempt: u64, planned: FileIdentity) {
        self.attaching.remove(&file);
        if self.failures && self.random.one_in(6) {
            let failure = self.failure();
            return self.work.push(Work::Deliver(Event::AttachFailed { file, attempt, failure }));
        }
        let content = self.content(file.ino);
        if content != planned {
            return self.work.push(Work::Deliver(Event::NotAsPlanned { file, attempt, content }));
        }
        let lease = !self.random.one_in(3);
        self.probed.insert(file, Probed { attempt, lease });
        self.give(Event::Attached { file, attempt, lease });
    }
}
