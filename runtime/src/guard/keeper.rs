//! The keeper: a child process of the agent that puts probes into files and takes them out, and holds nothing else.
//!
//! A probe that is left in a file when somebody writes to it kills the program that is started from it next. So the probes must
//! go even when the agent cannot see to it: killed, stopped, or busy for seconds. A probe is gone when the last descriptor of it
//! is closed, wherever that is; no call takes it out while a stopped agent holds a copy (`PERF_EVENT_IOC_DISABLE` leaves the
//! breakpoint in memory, and neither kind of link can be detached). So the agent has no copy: the keeper makes the probes, from
//! the programs that the agent has loaded and a descriptor of the file, and closes them
//!
//! - when guard says so,
//! - when somebody wants to write to the file: it holds a read lease (`F_SETLEASE`), the writer's `open` waits until the probes
//!   are gone, and goes on then; nobody else needs to do anything for it,
//! - when guard has said nothing for a second (it says that it is alive every [`HEARTBEAT`]),
//! - when the agent is gone: the socket between them ends.
//!
//! Attaching and detaching wait for grace periods of the kernel (four perf uprobes: 0.4 s to close; `uprobe_multi`: 0.03 to 0.08),
//! so it does them on threads of its own, many files at a time.
//!
//! ```text
//!  guard ── Attach (descriptors of file and programs), Detach, Alive ──► keeper
//!        ◄── Ready, Attached, Refused, NotAsPlanned, Detached ─────────────────
//! ```
//! Messages are JSON, one to a packet of a `SOCK_SEQPACKET` socket, with descriptors beside them (unix(7), SCM_RIGHTS).

pub mod child;
mod file;
mod lease;
mod parent;
pub(crate) mod probe;
mod wire;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::files::FileIdentity;
pub use parent::{Keeper, News};

/// The child's hidden subcommand.
pub const SUBCOMMAND: &str = "keep-child";
/// How often guard says that it is alive.
pub const HEARTBEAT: Duration = Duration::from_millis(200);
/// How many times the keeper listens for as long as [`HEARTBEAT`] and hears nothing before it lets go of all files. It counts
/// its own waits, not the clock: where both were frozen, nobody has been silent.
const SILENCES: u32 = 5;
/// How many of its heartbeats guard leaves unanswered before it ends the keeper, which closes what it holds: a keeper that is
/// stopped would keep a writer waiting until the kernel overrules the lease (45 s), and the probes in what is written then.
/// Counted for the same reason as the silences.
const UNANSWERED: u32 = 25;

/// A place for a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Which of the programs that come along, by its place among them.
    pub program: u16,
    /// Where in the file.
    pub file_offset: u64,
    /// The instruction that the Plan saw there, in hexadecimal.
    pub bytes: String,
}

/// What guard asks for.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    /// Attach these probes to the file whose descriptor comes along, before those of the programs that they name by their places;
    /// `multi`: the programs were loaded for `uprobe_multi`.
    Attach { attempt: u64, content: FileIdentity, probes: Vec<Probe>, multi: bool },
    /// Take them out.
    Detach { attempt: u64 },
    /// I am here.
    Alive,
}

/// What the keeper says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Reply {
    /// It has begun.
    Ready,
    /// The answer to [`Request::Alive`].
    Alive,
    /// All probes are there; `no_lease`: why there is no lease on the file.
    Attached { attempt: u64, no_lease: Option<String> },
    /// None is there; `passing`: it may be otherwise in a moment.
    Refused { attempt: u64, reason: String, passing: bool },
    /// None is there: the file has another content.
    NotAsPlanned { attempt: u64, content: FileIdentity },
    /// They are gone, and the lease with them.
    Detached { attempt: u64, why: Why },
}

/// Why probes were taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Guard asked for it.
    Asked,
    /// Somebody wants to write to the file.
    Writer,
    /// Guard was silent.
    Silence,
    /// The keeper has ended.
    KeeperGone,
}
