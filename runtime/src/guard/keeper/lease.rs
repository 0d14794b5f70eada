//! A read lease on a file: who wants to write to it waits until the lease is given back (fcntl(2), F_SETLEASE).
//!
//! The kernel tells the holder by a signal and overrules it after `/proc/sys/fs/lease-break-time`, 45 seconds. A writer with
//! O_NONBLOCK does not wait, and gets EAGAIN. A lease needs the file's owner or CAP_LEASE, a file system that has leases, and
//! that nobody has the file open for writing. Linux 2.4.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// The signal by which the kernel tells of a lease that somebody waits for: the default one, which is never lost, since every
/// one makes the keeper ask all of its leases.
pub const SIGNAL: nix::sys::signal::Signal = nix::sys::signal::Signal::SIGIO;

/// Takes a lease, which ends with the open file, or says why there is none. The signals go to this process, whichever thread takes it.
pub fn take(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: fcntl with an integer argument.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETOWN, libc::getpid()) })?;
    // SAFETY: fcntl with an integer argument.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) })
}

/// Is it there, and does nobody wait for its end?
pub fn is_undisturbed(file: BorrowedFd<'_>) -> bool {
    // SAFETY: fcntl without an argument.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) == libc::F_RDLCK }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
