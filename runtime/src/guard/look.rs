//! Looking at processes: everything that reads /proc or walks a path, on a thread of its own, since any of it can wait: for a
//! process's memory lock, for a file server that is away.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use analyzer::Plan;
use anyhow::Context as _;

use super::{
    message::{Door, Facts, Found, Looked, Message, Switched},
    state::{Failure, ProcessKey},
    switches::Switches,
};
use crate::{
    discover::{self, OpenError, ProcessId, Targets},
    files::FileIdentity,
    sources::{Source, Sources},
};

/// How often paths are resolved again when nobody asks for anything: a link may lead elsewhere now.
const REFRESH: Duration = Duration::from_secs(1);

/// What the thread is asked for.
pub enum Job {
    /// `ran`: when the process that is traced was started, and the inode of what it ran.
    Look { id: ProcessId, followed: u32, ran: Option<(u64, (u64, u64))>, ticket: u64 },
    Facts {
        id: ProcessId,
        process: ProcessKey,
        generation: u32,
        plan: Arc<Plan>,
        /// What it will execute, where it was announced and runs something else yet.
        announced: Option<PathBuf>,
    },
    /// `answer`: who waits for it; else the worker hears of it, with `wait`.
    Switch { switches: Switches, wait: Option<Duration>, answer: Option<mpsc::Sender<Switched>> },
}

/// Starts the thread; it ends when the sender is dropped.
pub fn start(mut targets: Targets, sources: Sources, door: Door) -> anyhow::Result<mpsc::Sender<Job>> {
    let (jobs, inbox) = mpsc::channel();
    let work = move || {
        let mut refreshed = Instant::now();
        loop {
            // However many processes there are to be looked at.
            if refreshed.elapsed() >= REFRESH {
                refreshed = Instant::now();
                if targets.refresh() {
                    door.send(Message::Targets(targets.clone()));
                }
            }
            match inbox.recv_timeout(REFRESH) {
                Ok(Job::Look { id, followed, ran, ticket }) => {
                    let mut wanted = false;
                    let found = look(id, followed, ran, &targets, &mut wanted);
                    door.send(Message::Looked(Box::new(Looked { pid: id.pid, ticket, found, wanted })));
                }
                Ok(Job::Facts { id, process, generation, plan, announced }) => {
                    let source = facts(id, process, &plan, announced.as_deref(), &sources);
                    door.send(Message::Facts(Box::new(Facts { process, generation, source })));
                }
                Ok(Job::Switch { switches, wait, answer }) => {
                    let outcome = switches.set();
                    let switched = Switched { process: switches.process, wait, outcome };
                    match answer {
                        // It may have given up.
                        Some(answer) => drop(answer.send(switched)),
                        None => door.send(Message::Switched(switched)),
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    };
    let thread = std::thread::Builder::new().name("strobe-look".to_owned());
    thread.spawn(work).context("starting the thread that looks at processes")?;
    Ok(jobs)
}

/// What was wanted stays so while it runs the same program: a path may lead to the next version by now.
fn look(
    id: ProcessId,
    followed: u32,
    ran: Option<(u64, (u64, u64))>,
    targets: &Targets,
    wanted: &mut bool,
) -> Result<Option<Found>, OpenError> {
    let process = discover::open(id)?;
    let runs_on = ran == Some((process.start_ticks, process.inode()));
    *wanted = runs_on || targets.wants(&process, followed);
    if !*wanted {
        return Ok(None);
    }
    let file = process.executable()?;
    let failed = |what, error| OpenError::Failed { pid: id.pid, what, error };
    let content = FileIdentity::of(&file).map_err(|error| failed("looking at its executable", error))?;
    Ok(Some(Found { process, file, content, image: image(id.pid) }))
}

/// Where its program and its stack begin: with addresses laid out at random, every execution has others. 0 where that cannot be
/// read; equal numbers prove nothing.
fn image(pid: u32) -> u64 {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let text = String::from_utf8_lossy(&stat);
    let (_, after_name) = text.rsplit_once(')').unwrap_or_default();
    // proc(5): field 26 is startcode, 28 startstack; the first after the name is number 3.
    let field = |number: usize| after_name.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
    field(26).unwrap_or(0).rotate_left(17) ^ field(28).unwrap_or(0)
}

/// Reads what its spans are to say, of the very process that was seen.
fn facts(
    id: ProcessId,
    seen: ProcessKey,
    plan: &Plan,
    announced: Option<&Path>,
    sources: &Sources,
) -> Result<Source, Failure> {
    let failure = |error: OpenError| Failure::Passing(error.to_string());
    let process = discover::open(id).map_err(failure)?;
    if process.start_ticks != seen.started {
        return Err(Failure::Passing(format!("process {} is another one now", id.pid)));
    }
    let source = sources.look(id.pid, Some(plan), announced);
    process.still_the_same().map_err(failure)?;
    Ok(source)
}

/// A process that will execute `file`, as `strobe exec` announces it.
pub fn announced(id: ProcessId, file: File, name: PathBuf) -> Result<Found, OpenError> {
    let mut process = discover::open(id)?;
    process.exe = name;
    let failed = |what, error| OpenError::Failed { pid: id.pid, what, error };
    let content = FileIdentity::of(&file).map_err(|error| failed("looking at its executable", error))?;
    Ok(Found { process, file, content, image: 0 })
}
