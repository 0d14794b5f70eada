//! What happens in the world: processes start, execute and end, files are written, time passes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::work::Work;
use super::{FILES, Machine, PIDS, Real, inode};
use crate::guard::state::{Event, Inode, ProcessKey};

impl Machine {
    /// One thing happens in the world, or one piece of work goes on.
    pub(super) fn step(&mut self) {
        match self.random.below(16) {
            0..=2 => self.start(),
            3 | 4 => self.exec(),
            5 | 6 => self.exit(),
            7 => self.write(),
            8 => self.pass(),
            9 if self.random.one_in(4) => self.unasked(),
            _ if self.work.is_empty() => self.pass(),
            _ => self.go_on(),
        }
    }

    pub(super) fn pid(&mut self) -> u32 {
        u32::try_from(1 + self.random.below(PIDS)).unwrap_or(1)
    }

    pub(super) fn start(&mut self) {
        let pid = self.pid();
        if self.processes.contains_key(&pid) {
            return;
        }
        self.serial += 1;
        let real = Real { started: self.serial, image: self.serial, file: self.random.below(FILES) };
        self.processes.insert(pid, real);
        self.executed(pid);
        if self.random.one_in(5) {
            // It is found by the list of /proc as well.
            self.give(Event::Found(pid));
        }
    }

    pub(super) fn exec(&mut self) {
        let pid = self.pid();
        let same = self.random.one_in(2);
        let file = self.random.below(FILES);
        let Some(real) = self.processes.get_mut(&pid) else { return };
        self.serial += 1;
        real.image = self.serial;
        if !same {
            real.file = file;
        }
        self.executed(pid);
    }

    pub(super) fn executed(&mut self, pid: u32) {
        if self.random.one_in(8) {
            self.lost_events = true;
        } else if self.random.one_in(2) {
            self.give(Event::Executed(pid));
        } else {
            self.work.push(Work::Deliver(Event::Executed(pid)));
        }
    }

    pub(super) fn exit(&mut self) {
        let pid = self.pid();
        let Some(real) = self.processes.remove(&pid) else { return };
        self.last_exit.insert(inode(real.file), self.now);
        let process = ProcessKey { pid, started: real.started };
        if self.watched.contains(&process) {
            self.work.push(Work::Deliver(Event::Exited(process)));
        }
    }

    /// Somebody overwrites a file: not while it runs (ETXTBSY), and under a lease only when the probes are gone.
    pub(super) fn write(&mut self) {
        let file = self.random.below(FILES);
        if self.processes.values().any(|real| real.file == file) {
            return;
        }
        if self.probed.get(&inode(file)).is_some_and(|probed| probed.lease) {
            self.unprobe(inode(file));
        }
        *self.contents.entry(file).or_default() += 1;
    }

    /// The keeper lets go of a file unasked: a writer, or guard was silent for too long.
    pub(super) fn unasked(&mut self) {
        let files: Vec<Inode> = self.probed.keys().copied().collect();
        if !files.is_empty() {
            let file = files[self.random.pick(files.len())];
            self.unprobe(file);
        }
    }

    pub(super) fn unprobe(&mut self, file: Inode) {
        let Some(probed) = self.probed.remove(&file) else { return };
        self.work.push(Work::Deliver(Event::Detached { file, attempt: probed.attempt }));
    }

    pub(super) fn pass(&mut self) {
        self.now += Duration::from_millis(self.random.below(1500));
        self.give(Event::Tick);
    }

    /// A list of /proc: what a lost event causes.
    pub(super) fn rescan(&mut self) {
        self.lost_events = false;
        let pids: BTreeSet<u32> =
            self.processes.keys().copied().chain(self.watched.iter().map(|p| p.pid)).collect();
        for pid in pids {
            self.give(Event::Found(pid));
        }
    }
}
