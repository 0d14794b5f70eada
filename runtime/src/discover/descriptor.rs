//! Descriptors that the kernel makes for processes.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// Registers an owner of a descriptor with the event loop.
pub fn pollable<F: std::os::fd::AsRawFd>(owner: F) -> io::Result<tokio::io::unix::AsyncFd<F>> {
    // SAFETY: every owner passed here keeps one descriptor open as long as it lives, names that same one each time, and moves
    // into the AsyncFd.
    unsafe { tokio::io::unix::AsyncFd::register(owner) }.map_err(io::Error::from)
}

/// Kernel 5.3.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: a system call with two integers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Has the process behind a pidfd ended? Its last thread has; its parent may not know yet.
pub fn has_ended(pidfd: &impl AsFd) -> bool {
    let mut poll = libc::pollfd { fd: pidfd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd of ours; 0: it does not wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

/// What a system call that makes a descriptor has returned.
pub(super) fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the caller's system call has made it just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
