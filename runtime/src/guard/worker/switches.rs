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
    switches::{Outcome, SwitchError, Switches, Switching},
};

/// How soon it is tried again in a program that has not come so far, at first and at most; and how often it is looked at whether it is
/// still so, since another agent that leaves switches it off.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// What fails is said if it fails for so long: a process that has just started, or executes something, has nothing to be read at times.
const ERROR_PATIENCE: Duration = Duration::from_secs(1);
/// How long the agent waits at its end until everything is switched off.
const OFF_PATIENCE: Duration = Duration::from_secs(2);

impl Worker {
    /// A process is traced now, as what runs this file.
    pub(super) fn switch_on(&mut self, process: ProcessKey, file: Inode) {
        let (Some(ready), Some(known)) =
            (self.tables.plans.get(&file), self.tables.processes.get(&process.pid))
        else {
            return;
        };
        let wanted = ready.layout.switches.clone();
        if wanted.is_empty() {
            return;
        }
        let (Some(entry), Some(runs)) = (ready.entry, known.program) else {
            return warn!(
                "pid {}: spans made by OpenTelemetry's API are not traced: its executable could not be read again",
                process.pid
            );
        };
        let switches = Switches { id: known.id, process, runs, entry, wanted };
        let again = Some((Instant::now(), FIRST_WAIT));
        self.tables.switching.insert(process.pid, Switching { switches, again, is_set: false });
        self.switch();
    }

    /// Asks for what is due.
    pub(super) fn switch(&mut self) {
        let now = Instant::now();
        for switching in self.tables.switching.values_mut() {
            let Some((_, wait)) = switching.again.take_if(|(at, _)| *at <= now) else { continue };
            let switches = switching.switches.clone();
            // It ends only with this thread.
            let _ = self.looker.send(Job::Switch { switches, wait: Some(wait), answer: None });
        }
    }

    /// What became of it.
    pub(super) fn switched(&mut self, switched: Switched) {
        let Switched { process, wait, outcome } = switched;
        let pid = process.pid;
        let Some(wait) = wait else { return say_off(pid, &outcome) };
        let Some(switching) =
            self.tables.switching.get_mut(&pid).filter(|known| known.switches.process == process)
        else {
            return;
        };
        let later = Some((Instant::now() + wait, LONGEST_WAIT.min(wait * 2)));
        match outcome {
            // Whoever waits for its end hears of it.
            Ok(Outcome::Gone) => {}
            Ok(Outcome::NotYet) => {
                if wait < LONGEST_WAIT && wait * 2 >= LONGEST_WAIT {
                    warn!(
                        "pid {pid}: spans made by OpenTelemetry's API are not traced yet: it does not run its program, or has not made \
                         its variables; it is looked at again every {} s",
                        LONGEST_WAIT.as_secs()
                    );
                }
                switching.again = later;
            }
            Ok(Outcome::Set { changed }) => {
                let on = switching.switches.wanted.iter().any(|(_, on)| *on);
                say_set(pid, on, changed, switching.is_set);
                switching.is_set = true;
                switching.again = on.then(|| (Instant::now() + LONGEST_WAIT, LONGEST_WAIT));
            }
            Err(SwitchError::Io { .. } | SwitchError::Open(_)) if wait < ERROR_PATIENCE => {
                switching.again = later
            }
            Err(error) => warn!("pid {pid}: spans made by OpenTelemetry's API are not traced: {error}"),
        }
    }

    /// A process is not traced any more: it would make spans for nobody.
    pub(super) fn switch_off(&mut self, pid: u32) {
        self.send_off(pid, None);
    }

    fn send_off(&mut self, pid: u32, answer: Option<mpsc::Sender<Switched>>) {
        let Some(mut switching) = self.tables.switching.remove(&pid) else { return };
        switching.switches.wanted.iter_mut().for_each(|(_, on)| *on = false);
        let _ = self.looker.send(Job::Switch { switches: switching.switches, wait: None, answer });
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
                Ok(Switched { process, outcome, .. }) => say_off(process.pid, &outcome),
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

/// What was found and done in a process that is traced.
fn say_set(pid: u32, on: bool, changed: usize, again: bool) {
    match (on, changed, again) {
        (true, 0, true) | (false, 0, _) => {}
        (true, _, true) => warn!(
            "pid {pid}: somebody has switched off that OpenTelemetry's API hands its spans to the Auto SDK, as another agent does that \
             leaves: it is on again, and such spans of the last {} s may be missing",
            LONGEST_WAIT.as_secs()
        ),
        (true, 0, false) => info!(
            "pid {pid}: OpenTelemetry's API hands its spans to the Auto SDK already, as an agent that was killed leaves it, or one that \
             is there"
        ),
        (true, _, false) => {
            info!("pid {pid}: OpenTelemetry's API hands its spans to the Auto SDK from now on")
        }
        (false, ..) => info!(
            "pid {pid}: OpenTelemetry's API does not hand its spans to the Auto SDK any more, as an agent that was killed had left it"
        ),
    }
}

/// What became of it in a process that is not traced any more.
fn say_off(pid: u32, outcome: &Result<Outcome, SwitchError>) {
    if let Err(error) = outcome {
        warn!(
            "pid {pid}: it may make spans on, for nobody, until strobe traces it again or it ends: they could not be switched off: \
             {error}"
        );
    }
}
