//! `strobe exec`: the command is started only when its probes are in place, so that its first request is traced.
//!
//! The child is forked first of all, while this process has one thread and nothing of its own open, and waits at a pipe. So
//! it inherits what strobe was given, and nothing that strobe made: no descriptor, no raised limit, no capability.

use std::{
    ffi::{CString, OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask},
    unistd::{ForkResult, Gid, Pid, Uid, User, execvp, fork, pipe2, read, setgid, setgroups, setuid, write},
};

/// strobe itself failed.
pub const STATUS_FAILED: u8 = 125;
/// The command cannot be run.
pub const STATUS_CANNOT_RUN: u8 = 126;
/// The command was not found.
pub const STATUS_NOT_FOUND: u8 = 127;

/// A child that waits at the gate.
pub struct Gated {
    /// Its process id, which the command keeps.
    pub pid: Pid,
    gate: OwnedFd,
}

impl Gated {
    /// Lets it execute the command.
    pub fn open(self) -> anyhow::Result<()> {
        write(&self.gate, b"!").context("telling the child to start the command")?;
        Ok(())
    }
}

/// Forks the child. Must be called while this process has one thread.
pub fn fork_gated(command: &[OsString], user: Option<&str>) -> anyhow::Result<Gated> {
    let arguments: Vec<CString> = command
        .iter()
        .map(|argument| CString::new(argument.as_bytes()).context("a NUL byte in the command"))
        .collect::<Result<_, _>>()?;
    let user = user.map(lookup).transpose()?;
    let (wait, gate) = pipe2(OFlag::O_CLOEXEC).context("making the gate's pipe")?;
    // SAFETY: there is one thread, so the child may do what it likes.
    match unsafe { fork() }.context("forking")? {
        ForkResult::Parent { child } => Ok(Gated { pid: child, gate }),
        ForkResult::Child => {
            drop(gate);
            let status = become_command(&wait, &arguments, user.as_ref());
            // SAFETY: leaves without running the parent's exit handlers.
            unsafe { libc::_exit(i32::from(status)) }
        }
    }
}

fn lookup(user: &str) -> anyhow::Result<User> {
    let found = match user.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(user),
    };
    found.with_context(|| format!("looking up the user {user}"))?.with_context(|| format!("no user {user}"))
}

/// In the child: waits, sheds, executes. Returns only if it cannot, with the exit status.
fn become_command(wait: &OwnedFd, arguments: &[CString], user: Option<&User>) -> u8 {
    let mut byte = [0];
    // End of file: strobe died or gave up, and the command must not start.
    match read(wait, &mut byte) {
        Ok(1) => {}
        _ => return STATUS_FAILED,
    }
    if let Err(error) = shed(user) {
        eprintln!("strobe exec: {error:#}");
        return STATUS_FAILED;
    }
    let Some(program) = arguments.first() else { return STATUS_FAILED };
    let Err(error) = execvp(program, arguments);
    eprintln!("strobe exec: {}: {}", program.to_string_lossy(), error.desc());
    if error == Errno::ENOENT { STATUS_NOT_FOUND } else { STATUS_CANNOT_RUN }
}

fn shed(user: Option<&User>) -> anyhow::Result<()> {
    if let Some(user) = user {
        let name = CString::new(user.name.as_bytes())?;
        if Uid::effective().is_root() {
            nix::unistd::initgroups(&name, user.gid)
                .with_context(|| format!("the groups of {}", user.name))?;
        } else {
            setgroups(&[]).with_context(|| format!("becoming {}", user.name))?;
        }
        setgid(Gid::from_raw(user.gid.as_raw())).with_context(|| format!("the group of {}", user.name))?;
        setuid(user.uid).with_context(|| format!("becoming {}", user.name))?;
    }
    for set in [caps::CapSet::Ambient, caps::CapSet::Inheritable] {
        caps::clear(None, set).with_context(|| format!("clearing the {set:?} capabilities"))?;
    }
    // Rust ignores SIGPIPE; the command expects the default. The mask was blocked for the parent's sake.
    // SAFETY: no handler is installed.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) }.context("resetting SIGPIPE")?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).context("unblocking signals")?;
    // Socket activation names the process it is meant for (sd_listen_fds(3)).
    if std::env::var_os("LISTEN_PID") == Some(Pid::parent().as_raw().to_string().into()) {
        // SAFETY: one thread.
        unsafe { std::env::set_var("LISTEN_PID", Pid::this().as_raw().to_string()) };
    }
    Ok(())
}

/// The file that `execvp` would execute.
pub fn resolve(command: &OsStr) -> io::Result<PathBuf> {
    if command.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(command));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(command))
        .find(|candidate| executable(candidate))
        .ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{}: not found in PATH", command.display()))
        })
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Opens the command's file for planning.
pub fn open(path: &Path) -> anyhow::Result<File> {
    if !executable(path) {
        bail!("{}: not an executable file", path.display());
    }
    File::open(path).with_context(|| format!("{}: opening it", path.display()))
}

/// Passes a signal on to the command, unless the terminal sent it to both already.
pub fn forward(pid: Pid, signal: i32, from_kernel: bool) {
    if from_kernel {
        return;
    }
    let Ok(signal) = Signal::try_from(signal) else { return };
    if let Err(error) = nix::sys::signal::kill(pid, signal) {
        tracing::warn!("passing {signal} on to pid {pid}: {error}");
    }
}

/// Signals that are the command's business.
pub const FORWARDED: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGALRM,
];

/// A child's end as an exit status: its own, or 128 and the signal's number as shells have it.
pub fn status(status: nix::sys::wait::WaitStatus) -> Option<u8> {
    use nix::sys::wait::WaitStatus;
    match status {
        WaitStatus::Exited(_, code) => Some(u8::try_from(code & 0xff).unwrap_or(STATUS_FAILED)),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).ok(),
        _ => None,
    }
}

/// Blocks the forwarded signals for this process and gives a descriptor to read them from. Before any thread is started.
pub fn signals() -> anyhow::Result<nix::sys::signalfd::SignalFd> {
    use nix::sys::signalfd::{SfdFlags, SignalFd};
    let mut mask = SigSet::empty();
    for signal in FORWARDED {
        mask.add(*signal);
    }
    mask.thread_block().context("blocking signals")?;
    let fd =
        SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context("signalfd")?;
    tracing::trace!("signals come in on descriptor {}", fd.as_raw_fd());
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::WaitStatus;

    use super::*;

    #[test]
    fn statuses_are_the_commands_own() {
        let pid = Pid::from_raw(1);
        assert_eq!(status(WaitStatus::Exited(pid, 0)), Some(0));
        assert_eq!(status(WaitStatus::Exited(pid, 255)), Some(255));
        assert_eq!(status(WaitStatus::Signaled(pid, Signal::SIGKILL, false)), Some(137));
        assert_eq!(status(WaitStatus::StillAlive), None);
    }

    #[test]
    fn commands_are_found_as_execvp_finds_them() {
        assert_eq!(resolve(OsStr::new("./x")).expect("a path"), Path::new("./x"));
        assert!(resolve(OsStr::new("sh")).expect("sh").ends_with("sh"));
        let error = resolve(OsStr::new("no-such-command-here")).expect_err("nothing").to_string();
        assert!(error.contains("not found in PATH"), "{error}");
    }
}
