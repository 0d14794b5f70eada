//! What guard and the keeper say to each other, and for how long either may be silent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::files::FileIdentity;

/// The child's hidden subcommand.
pub const SUBCOMMAND: &str = "keep-child";
/// How often guard says that it is alive.
pub const HEARTBEAT: Duration = Duration::from_millis(200);
/// How many times the keeper listens for as long as [`HEARTBEAT`] and hears nothing before it lets go of all files. It counts
/// its own waits, not the clock: where both were frozen, nobody has been silent.
pub(super) const SILENCES: u32 = 5;
/// How many of its heartbeats guard leaves unanswered before it ends the keeper, which closes what it holds: a keeper that is
/// stopped would keep a writer waiting until the kernel overrules the lease (45 s), and the probes in what is written then.
/// Counted for the same reason as the silences.
pub(super) const UNANSWERED: u32 = 25;

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
pub(super) enum Request {
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
pub(super) enum Reply {
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
