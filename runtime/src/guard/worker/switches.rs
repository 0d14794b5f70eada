//! Switching on what hands a program's spans to functions that are probed ([`switches`](crate::guard::switches)), in each process that is
//! traced, and off again when it is not any more. The state machine knows nothing of it.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::Worker;
use crate::guard::{
    look::Job,
    message::Switched,
    state::{Inode, ProcessKey},
    switches::{Outcome, Switches, Switching},
};

/// How soon it is tried again in a program that has not come so far, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long the agent waits at its end until everything is switched off.
const OFF_PATIENCE: Duration = Duration::from_secs(2);

impl Worker {
    /// A process is traced now, as what runs this file.
    pub(super) fn switch_on(&mut self, process: ProcessKey, file: Inode) {
        let wanted = self.tables.plans.get(&file).map(|ready| ready.layout.switches.clone());
        let (Some(wanted), Some(known)) = (wanted, self.tables.processes.get(&process.pid)) else { return };
        if wanted.is_empty() {
            return;
        }
        let switches = Switches { id: known.id, process, wanted };
        let again = Some((Instant::now(), FIRST_WAIT));
        self.tables.switching.insert(process.pid, Switching { switches, file, again });
        self.switch();
    }

    /// Asks for what is due.
    pub(super) fn switch(&mut self) {
        let now = Instant::now();
        for switching in self.tables.switching.values_mut() {
            let Some((_, wait)) = switching.again.take_if(|(at, _)| *at <= now) else { continue };
            let Some(file) = self.tables.kept.get(&switching.file) else { continue };
            let switches = switching.switches.clone();
            // It ends only with this thread.
            let _ = self.looker.send(Job::Switch { switches, file: file.clone(), wait, answer: None });
        }
    }

    /// What became of it.
    pub(super) fn switched(&mut self, switched: Switched) {
        let Switched { process, wait, outcome } = switched;
        let Some(switching) =
            self.tables.switching.get_mut(&process.pid).filter(|known| known.switches.process == process)
        else {
            return;
        };
        match outcome {
            Ok(Outcome::NotYet) => {
                switching.again = Some((Instant::now() + wait, LONGEST_WAIT.min(wait * 2)));
            }
            Ok(Outcome::Set { changed }) => {
                let on = switching.switches.wanted.iter().any(|(_, on)| *on);
                match (on, changed) {
                    (true, 0) => info!(
                        "pid {}: OpenTelemetry's API hands its spans to the Auto SDK already, as an agent that was killed leaves it",
                        process.pid
                    ),
                    (true, _) => info!(
                        "pid {}: OpenTelemetry's API hands its spans to the Auto SDK from now on",
                        process.pid
                    ),
                    (false, 0) => {}
                    (false, _) => info!(
                        "pid {}: OpenTelemetry's API does not hand its spans to the Auto SDK any more, as an agent that was killed \
                         had left it",
                        process.pid
                    ),
                }
            }
            Err(error) => {
                warn!("pid {}: spans made by OpenTelemetry's API are not traced: {error}", process.pid)
            }
        }
    }

    /// A process is not traced any more: it would make spans for nobody.
    pub(super) fn switch_off(&mut self, pid: u32) {
        self.send_off(pid, None);
    }

    fn send_off(&mut self, pid: u32, answer: Option<mpsc::Sender<()>>) {
        let Some(mut switching) = self.tables.switching.remove(&pid) else { return };
        switching.switches.wanted.iter_mut().for_each(|(_, on)| *on = false);
        let Some(file) = self.tables.kept.get(&switching.file).cloned() else { return };
        let job = Job::Switch { switches: switching.switches, file, wait: FIRST_WAIT, answer };
        let _ = self.looker.send(job);
    }

    /// The agent leaves.
    pub(super) fn switch_all_off(&mut self) {
        let (answer, answers) = mpsc::channel();
        let pids: Vec<u32> = self.tables.switching.keys().copied().collect();
        for pid in &pids {
            self.send_off(*pid, Some(answer.clone()));
        }
        drop(answer);
        let began = Instant::now();
        for _ in &pids {
            let left = OFF_PATIENCE.saturating_sub(began.elapsed());
            match answers.recv_timeout(left) {
                Ok(()) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return warn!(
                        "not every program was told that its spans are not wanted any more: it makes them on, for nobody, until \
                         strobe traces it again or it ends"
                    );
                }
            }
        }
    }
}
