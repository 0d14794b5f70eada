//! Which processes to trace: what the user asked for, who runs, what starts.
//!
//! ```text
//!  Targets ── names, inodes ──► Watch ══► kernel: exec, fork and exit programs ══► ExecRing ──► ExecEvent
//!     ▲                           │ running(), id_of()                                            │
//!     └──────── wants? ──────── open(ProcessId) ──► Process ◄─────────────────────────────────────┘
//! ```
//!
//! The kernel's programs name processes as the initial PID namespace does (`tgid`), /proc as the agent's does (`pid`): a
//! [`ProcessId`] has both. Not here: what becomes of a process (guard), what is in its file (planning).

mod btf;
mod descriptor;
mod error;
mod filesystems;
mod inode;
mod iterator;
mod layout;
mod limits;
mod process;
mod target;
mod watch;

pub use btf::BtfError;
pub use descriptor::{has_ended, pidfd_open, pollable};
pub use error::{OpenError, WatchError, is_passing};
pub use inode::KernelInode;
pub use layout::tells_connections;
pub use limits::raise_descriptor_limit;
pub use process::{Process, ProcessId, open, open_for_reading};
pub use target::{Target, Targets};
pub use watch::{ExecRing, Watch};
