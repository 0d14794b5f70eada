//! Which processes to trace, and when they start and end.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{FromRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::PathBuf,
};

use tokio::{io::unix::AsyncFd, sync::mpsc::UnboundedSender};

use crate::agent::Event;

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One process, whatever it executes.
    Pid(u32),
    /// Every process of the executable at this path: the inode the path names when the process starts, or, for a process in
    /// another mount namespace, the path itself.
    Exe(PathBuf),
}

impl Target {
    /// Is the process `pid`, whose executable is open as `exe`, wanted?
    pub fn wants(&self, pid: u32, exe: &File) -> bool {
        match self {
            Self::Pid(wanted) => *wanted == pid,
            Self::Exe(path) => same_inode(path, exe) || in_container(path, pid),
        }
    }
}

fn same_inode(path: &PathBuf, exe: &File) -> bool {
    match (fs::metadata(path), exe.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}

/// In another mount namespace the path is the process's own name for its executable.
fn in_container(path: &PathBuf, pid: u32) -> bool {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let pid = pid.to_string();
    namespace(&pid) != namespace("self")
        && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == *path)
}

/// The executable of a process, by the kernel's own link: right even if the path has been replaced or is elsewhere.
pub fn executable(pid: u32) -> io::Result<File> {
    File::open(format!("/proc/{pid}/exe"))
}

/// Ids of all processes that this agent can see.
pub fn processes() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// Sends [`Event::Exited`] when the process ends, once. Kernel 5.3.
pub fn watch_exit(pid: u32, events: UnboundedSender<Event>) -> io::Result<tokio::task::JoinHandle<()>> {
    let pidfd = pollable(pidfd_open(pid)?)?;
    Ok(tokio::spawn(async move {
        // An error here means that the descriptor cannot be polled: better one early good-bye than none.
        if let Err(error) = pidfd.readable().await {
            tracing::warn!(pid, "watching for the process's end: {error}");
        }
        if events.send(Event::Exited(pid)).is_err() {
            tracing::debug!(pid, "the agent ended before the process");
        }
    }))
}

/// Registers an owner of a descriptor with the event loop.
pub fn pollable<F: std::os::fd::AsRawFd>(owner: F) -> io::Result<AsyncFd<F>> {
    // SAFETY: every owner passed here keeps one descriptor open as long as it lives, names that same one each time, and moves
    // into the AsyncFd.
    unsafe { AsyncFd::register(owner) }.map_err(io::Error::from)
}

fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: a system call with two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the descriptor was made just now and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
