//! What the worker hears, and the way to it.

use std::{
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use analyzer::Plan;
use nix::sys::eventfd::EventFd;

use super::{
    state::{Failure, Inode, ProcessKey, Reason},
    switches::{Outcome, SwitchError},
};
use crate::{
    discover::{OpenError, Process, Targets},
    files::FileIdentity,
    planning::PlanError,
    sources::Source,
};

/// A wanted process, with what its file is known by.
pub struct Found {
    pub process: Process,
    pub file: File,
    pub content: FileIdentity,
    /// Tells one execution from the next.
    pub image: u64,
}

impl Found {
    /// Device and inode of the file as the process's own mount shows it.
    pub fn program(&self) -> Option<(u64, u64)> {
        self.file.metadata().ok().map(|own| (own.dev(), own.ino()))
    }
}

/// What came of a look.
pub struct Looked {
    pub pid: u32,
    pub ticket: u64,
    /// None: it is not wanted.
    pub found: Result<Option<Found>, OpenError>,
    /// Whether it is known to be wanted: a failure is then the user's concern.
    pub wanted: bool,
}

/// What its spans are to say of a process.
pub struct Facts {
    pub process: ProcessKey,
    pub generation: u32,
    pub source: Result<Source, Failure>,
}

/// A Plan, or why there is none, with the content that the file had before and after.
pub struct Planned {
    pub file: Inode,
    pub content: Option<FileIdentity>,
    /// Where its program begins ([`switches::entry`](super::switches::entry)).
    pub entry: Option<u64>,
    pub result: Result<Plan, PlanError>,
}

/// What became of a process's switches, and what is waited until they are tried again; nothing: they were to be off.
pub struct Switched {
    pub process: ProcessKey,
    pub wait: Option<Duration>,
    pub outcome: Result<Outcome, SwitchError>,
}

/// Who waits for a process to be prepared.
pub type Answer = mpsc::Sender<Result<(), Reason>>;

/// What the worker hears.
pub enum Message {
    Looked(Box<Looked>),
    Facts(Box<Facts>),
    Targets(Targets),
    Planned(Box<Planned>),
    Switched(Switched),
    Prepare {
        pid: u32,
        file: File,
        name: PathBuf,
        answer: Answer,
    },
    FindRunning,
    /// A process whose end cannot be waited for.
    Ended(ProcessKey),
    Stop,
}

/// Where messages for the worker go.
#[derive(Clone)]
pub struct Door {
    pub messages: mpsc::Sender<Message>,
    pub bell: Arc<EventFd>,
}

impl Door {
    pub fn send(&self, message: Message) {
        // It may have ended: then nobody needs this any more. The bell is rung after the message is there.
        if self.messages.send(message).is_ok() {
            let _ = self.bell.write(1);
        }
    }
}
