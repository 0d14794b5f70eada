//! guard: the safety of targets, and nothing else. Who runs, which file is probed, which process is configured.
//!
//! ```text
//!   exec ring, pidfds ──► ┌────────┐ Look, Facts ──► looker (thread: /proc, file systems)
//!                         │        │ ◄───────────── what it found
//!   strobe exec, stop ──► │ worker │ Plan ────────► planning (two children)
//!                         │ State  │ ◄───────────── a Plan
//!                         │        │ Attach, Detach ──► keeper (process: probes, leases)
//!                         └───┬────┘ ◄──────────────── attached, gone
//!                             └─► PROCESSES, FILES; drain (who a generation is)
//! ```
//! The worker is an OS thread of its own that waits for nobody: everything that may take a while is somebody else's work, whose
//! answer is an event like any other. What it decides is [`state`]'s, and pure.

pub mod keeper;
mod look;
mod losses;
mod message;
mod parts;
pub mod state;
mod switches;
mod tables;
mod worker;

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use anyhow::Context as _;
use nix::sys::eventfd::{EfdFlags, EventFd};

pub use parts::{Audience, News, Parts, Wish};

use crate::planning::PlanError;
use message::{Door, Message};

/// The running thread.
pub struct Guard {
    door: Door,
    thread: JoinHandle<()>,
}

impl Guard {
    /// Starts the thread and the keeper. `news` is called on that thread and must not wait.
    pub fn start(parts: Parts, news: impl Fn(News) + Send + 'static) -> anyhow::Result<Self> {
        let (messages, inbox) = mpsc::channel();
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = Arc::new(EventFd::from_flags(flags).context("making guard's bell")?);
        let door = Door { messages, bell };
        let worker = worker::Worker::new(parts, door.clone(), inbox, Box::new(news))?;
        let thread = std::thread::Builder::new()
            .name("strobe-guard".to_owned())
            .spawn(move || worker.run())
            .context("starting guard's thread")?;
        Ok(Self { door, thread })
    }

    /// Looks at the processes that run already.
    pub fn find_running(&self) {
        self.door.send(Message::FindRunning);
    }

    /// Plans, attaches and configures what `pid` is about to execute; waits until that is done, or says why it is not.
    pub fn prepare(&self, pid: u32, file: File, name: PathBuf) -> anyhow::Result<()> {
        let (answer, answered) = mpsc::channel();
        self.door.send(Message::Prepare { pid, file, name, answer });
        let result = answered.recv().context("guard has ended; what it printed says why")?;
        result.map_err(|reason| match reason.not_go {
            true => PlanError::NotGo(reason.text).into(),
            false => anyhow::Error::msg(reason.text),
        })
    }

    /// Takes all probes out and ends the thread.
    pub fn stop(self) -> anyhow::Result<()> {
        self.door.send(Message::Stop);
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("guard's thread has panicked; please report the message above"))
    }
}
