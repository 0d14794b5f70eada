//! What happens, and what is to be done about it.

use std::{fmt, time::Duration};

use crate::files::FileIdentity;

/// Time since guard began: the machine knows no clock.
pub type Moment = Duration;

/// The file as the kernel's uprobes know it: the real inode, whatever the path or the mount (house.md, decision 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode {
    /// Device of the file system.
    pub dev: u64,
    /// Number of the inode on it.
    pub ino: u64,
}

/// A process: a number alone is used again, its start time tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// Its id.
    pub pid: u32,
    /// When it was started, in whatever unit the look gives.
    pub started: u64,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It stays so as long as the file has this content.
    Final(Reason),
    /// It may be otherwise in a moment: no descriptors, no memory, no more processes.
    Passing(String),
}

/// Why a process is not traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In words.
    pub text: String,
    /// Its file is no Go program: a script, a wrapper, which may start one.
    pub not_go: bool,
    /// A privilege is lacking; the text names it.
    pub not_allowed: bool,
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self { text, not_go: false, not_allowed: false }
    }
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Final(reason) => reason,
            Failure::Passing(text) => text.into(),
        }
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A process that is wanted, as a look found it: everything was read while it was provably one and the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// When it was started.
    pub started: u64,
    /// What tells one execution of a file from the next in the same process; equal numbers prove nothing.
    pub image: u64,
    /// The file that it runs.
    pub file: Inode,
    /// That file's content.
    pub content: FileIdentity,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It runs, and it is wanted.
    Runs(Sight),
    /// It is not one to trace.
    Unwanted,
    /// There is no such process, or it ended meanwhile.
    Gone,
    /// It could not be looked at.
    Failed(Failure),
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This process has executed a program.
    Executed(u32),
    /// This process was found running: at the start, or because events were lost.
    Found(u32),
    /// The answer to [`Action::Look`].
    Looked {
        /// Of this process.
        pid: u32,
        /// The question's number.
        ticket: u64,
        /// The answer.
        look: Look,
    },
    /// `strobe exec`: this process will run that file; nothing is looked at.
    Announced {
        /// The process, which waits.
        pid: u32,
        /// What it will be.
        sight: Sight,
    },
    /// This process has ended.
    Exited(ProcessKey),
    /// The answer to [`Action::Plan`].
    Planned {
        /// The file.
        file: Inode,
        /// The file's content when it was planned.
        content: FileIdentity,
        /// Why there is no Plan.
        result: Result<(), Failure>,
    },
    /// The answer to [`Action::Attach`]: all probes of the file are there.
    Attached {
        /// The file.
        file: Inode,
        /// The question's number.
        attempt: u64,
        /// Nobody can write to it before they are gone.
        lease: bool,
    },
    /// The answer to [`Action::Attach`]: none of its probes are there.
    AttachFailed {
        /// The file.
        file: Inode,
        /// The question's number.
        attempt: u64,
        /// Why.
        failure: Failure,
    },
    /// The answer to [`Action::Attach`]: none of its probes are there, for the file is not what was planned any more.
    NotAsPlanned {
        /// The file.
        file: Inode,
        /// The question's number.
        attempt: u64,
        /// What it is now.
        content: FileIdentity,
    },
    /// Its probes are gone and so is the lease: the answer to [`Action::Detach`], or unasked, because somebody wants to write to
    /// it or because guard did not answer for too long.
    Detached {
        /// The file.
        file: Inode,
        /// The attachment's number.
        attempt: u64,
    },
    /// [`Action::Configure`] could not be done.
    ConfigureFailed {
        /// The process.
        process: ProcessKey,
        /// The number that it would have had.
        generation: u32,
        /// Why.
        failure: Failure,
    },
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Look at this process: is it wanted, what does it run?
    Look {
        /// Its id.
        pid: u32,
        /// For the answer.
        ticket: u64,
    },
    /// Keep the descriptor of the file that the look in hand has brought.
    Keep(Inode),
    /// Close it again.
    Close(Inode),
    /// Make the Plan of the file that is kept.
    Plan(Inode),
    /// Forget the Plan.
    DropPlan(Inode),
    /// Put all probes of its Plan into the file that is kept.
    Attach {
        /// The file.
        file: Inode,
        /// For the answer.
        attempt: u64,
        /// What the Plan is of.
        content: FileIdentity,
    },
    /// Take them out again.
    Detach {
        /// The file.
        file: Inode,
        /// The attachment's number.
        attempt: u64,
    },
    /// Say when this process ends.
    Watch(ProcessKey),
    /// Do not any more.
    Unwatch(ProcessKey),
    /// From now on the programs trace this process.
    Configure {
        /// The process.
        process: ProcessKey,
        /// Its number, never used before.
        generation: u32,
        /// The file that it runs.
        file: Inode,
    },
    /// From now on they do not.
    Forget {
        /// The process.
        process: ProcessKey,
        /// The number that it has there.
        generation: u32,
    },
    /// It runs and is not traced: said once.
    NotTraced {
        /// Its id.
        pid: u32,
        /// Why.
        reason: Reason,
    },
}
