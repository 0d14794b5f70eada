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
mod message;
mod parent;
pub(crate) mod probe;
mod wire;

pub use message::{HEARTBEAT, Probe, SUBCOMMAND, Why};
pub use parent::{Keeper, News};
