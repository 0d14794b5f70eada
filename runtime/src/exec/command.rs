//! The command: forked first of all, while this process has one thread and nothing of its own open, it waits at a pipe. So it
//! inherits what strobe was given, and nothing that strobe made: no descriptor, no raised limit, no capability.

use std::{
    ffi::{CString, OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{MetadataExt as _, PermissionsExt as _},
        },
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        resource::{Resource, getrlimit, rlim_t, setrlimit},
        signal::{SigHandler, SigSet, Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Gid, Pid, Uid, User, execvpe, fork, pipe2, read, setgid, setgroups, setuid, write},
};

use super::{
    environment::{self, Successor},
    status::{STATUS_CANNOT_RUN, STATUS_FAILED, STATUS_NOT_FOUND},
};
use crate::cli;

/// `PIDFS_MAGIC` (include/uapi/linux/magic.h): a pidfd has an inode of its own since Linux 6.9.
const PIDFS_MAGIC: i64 = 0x5049_4446;

/// What is to be executed, and as whom.
pub struct Command {
    arguments: Vec<CString>,
    user: Option<User>,
    keep_credentials: bool,
}

/// A child that waits at the gate.
pub struct Gated {
    /// Its process id, which the command keeps.
    pub pid: Pid,
    gate: OwnedFd,
    /// What strobe was given beside the standard streams: the command's, not strobe's.
    inherited: Vec<RawFd>,
    /// The signal mask that strobe was given.
    mask: SigSet,
    /// The limits that strobe was given, of those that it raises.
    limits: Vec<(Resource, rlim_t, rlim_t)>,
}

/// What strobe raises for itself.
const RAISED: [Resource; 2] = [Resource::RLIMIT_NOFILE, Resource::RLIMIT_MEMLOCK];

impl Command {
    /// What was typed, looked up.
    pub fn new(args: &cli::Exec) -> anyhow::Result<Self> {
        let argument = |argument: &OsString| CString::new(argument.as_bytes());
        let arguments: Vec<CString> = args
            .command
            .iter()
            .map(argument)
            .collect::<Result<_, _>>()
            .context("a NUL byte in the command")?;
        let user = args.user.as_deref().map(lookup).transpose()?;
        Ok(Self { arguments, user, keep_credentials: args.keep_credentials })
    }

    /// Forks the child. Must be called while this process has one thread.
    pub fn fork(&self) -> anyhow::Result<Gated> {
        let inherited = open_descriptors().context("listing the descriptors that strobe was given")?;
        let mask = SigSet::thread_get_mask().context("reading the signal mask")?;
        let limit = |resource| getrlimit(resource).map(|(soft, hard)| (resource, soft, hard));
        let limits = RAISED.into_iter().map(limit).collect::<Result<_, _>>().context("reading limits")?;
        let (wait, gate) = pipe2(OFlag::O_CLOEXEC).context("making the gate's pipe")?;
        // SAFETY: there is one thread, so the child may do what it likes.
        match unsafe { fork() }.context("forking")? {
            ForkResult::Parent { child } => Ok(Gated { pid: child, gate, inherited, mask, limits }),
            ForkResult::Child => {
                drop(gate);
                let status = self.wait_and_execute(&wait);
                // SAFETY: leaves without running the parent's exit handlers.
                unsafe { libc::_exit(i32::from(status)) }
            }
        }
    }

    /// In the child. Returns only if the command cannot be executed, with the exit status.
    fn wait_and_execute(&self, wait: &OwnedFd) -> u8 {
        let mut byte = [0];
        // End of file: strobe died or gave up, and the command must not start.
        match read(wait, &mut byte) {
            Ok(1) => self.execute(Pid::parent()),
            _ => STATUS_FAILED,
        }
    }

    /// This process becomes the command, in place of `named`, which the environment may name. Returns only if it cannot, with
    /// the exit status.
    fn execute(&self, named: Pid) -> u8 {
        let prepared = shed(self.user.as_ref()).and_then(|()| self.environment(named));
        let environment = match prepared {
            Ok(environment) => environment,
            Err(error) => {
                eprintln!("strobe exec: {error:#}");
                return STATUS_FAILED;
            }
        };
        let Some(program) = self.arguments.first() else { return STATUS_FAILED };
        let Err(error) = execvpe(program, &self.arguments, &environment);
        eprintln!("strobe exec: {}: {}", program.to_string_lossy(), error.desc());
        if error == Errno::ENOENT { STATUS_NOT_FOUND } else { STATUS_CANNOT_RUN }
    }

    fn environment(&self, from: Pid) -> anyhow::Result<Vec<CString>> {
        let successor =
            Successor { from, to: Pid::this(), pidfd_id: pidfd_id().context("looking at its pidfd")? };
        Ok(environment::for_command(std::env::vars_os(), successor, self.keep_credentials))
    }
}

impl Gated {
    /// Lets the child execute the command, and leaves to it all that strobe was given: strobe keeps standard error alone. Gives
    /// the status of a child that a signal ended at the gate.
    pub fn open(self) -> anyhow::Result<Option<u8>> {
        match write(&self.gate, b"!") {
            Ok(_) => {}
            Err(Errno::EPIPE) => {
                let status = waitpid(self.pid, None).context("waiting for the child at the gate")?;
                return Ok(Some(status_of(status).unwrap_or(STATUS_FAILED)));
            }
            Err(error) => return Err(error).context("telling the child to start the command"),
        }
        if let Err(error) = leave(&self.inherited) {
            tracing::warn!("strobe keeps descriptors that are the command's: {error:#}");
        }
        Ok(None)
    }

    /// The command is not to start.
    pub fn give_up(self) -> anyhow::Result<()> {
        let pid = self.pid;
        // The child reads an end of file and leaves.
        drop(self.gate);
        waitpid(pid, None).context("waiting for the child at the gate")?;
        Ok(())
    }

    /// Nothing is traced, so nobody has to stay: strobe becomes the command, with its own process id. Returns only if it cannot,
    /// with the exit status.
    pub fn replace(self, command: &Command) -> anyhow::Result<u8> {
        let (mask, limits) = (self.mask, self.limits.clone());
        self.give_up()?;
        for (resource, soft, hard) in limits {
            setrlimit(resource, soft, hard).with_context(|| format!("restoring {resource:?}"))?;
        }
        mask.thread_set_mask().context("restoring the signal mask")?;
        Ok(command.execute(Pid::this()))
    }
}

/// Lets go of what strobe was given, standard error aside.
fn leave(inherited: &[RawFd]) -> anyhow::Result<()> {
    for fd in inherited {
        // SAFETY: it was open before strobe opened anything, so nothing in here owns it. Errors tell of its file, not of us.
        unsafe { libc::close(*fd) };
    }
    let null = File::options().read(true).write(true).open("/dev/null").context("opening /dev/null")?;
    for stream in [libc::STDIN_FILENO, libc::STDOUT_FILENO] {
        // SAFETY: Rust's own streams use both by number.
        Errno::result(unsafe { libc::dup2(null.as_raw_fd(), stream) })
            .context("leaving a standard stream")?;
    }
    Ok(())
}

/// What is open beside the standard streams.
fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let listed = std::fs::read_dir("/proc/self/fd")?
        .map(|entry| Ok(entry?.file_name().to_str().and_then(|name| name.parse().ok())))
        .collect::<io::Result<Vec<Option<RawFd>>>>()?;
    // The listing's own descriptor is among them, and closed by now.
    // SAFETY: asks about a number, whatever it names.
    let is_open = |fd: &RawFd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0;
    Ok(listed.into_iter().flatten().filter(|fd| *fd > libc::STDERR_FILENO).filter(is_open).collect())
}

fn lookup(user: &str) -> anyhow::Result<User> {
    let found = match user.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(user),
    };
    found.with_context(|| format!("looking up the user {user}"))?.with_context(|| format!("no user {user}"))
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
    // Rust ignores SIGPIPE; the command expects the default.
    // SAFETY: no handler is installed.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) }.context("resetting SIGPIPE")?;
    Ok(())
}

/// The inode of this process's pidfd, where pidfds have one each.
fn pidfd_id() -> anyhow::Result<Option<u64>> {
    // SAFETY: a system call with two integers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    let fd = match Errno::result(result) {
        Ok(fd) => i32::try_from(fd)?,
        // Before Linux 5.3.
        Err(Errno::ENOSYS) => return Ok(None),
        Err(error) => return Err(error).context("pidfd_open"),
    };
    // SAFETY: the descriptor was made just now and nobody else has it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let kind = nix::sys::statfs::fstatfs(&file).context("fstatfs")?.filesystem_type();
    Ok((kind == nix::sys::statfs::FsType(PIDFS_MAGIC)).then_some(file.metadata()?.ino()))
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
    File::open(path).with_context(|| match nix::unistd::access(path, nix::unistd::AccessFlags::R_OK) {
        // What everybody may execute, only its owner may read.
        Err(Errno::EACCES) => {
            format!("{}: strobe needs the capability CAP_DAC_READ_SEARCH to read it", path.display())
        }
        _ => format!("{}: opening it", path.display()),
    })
}

/// Passes a signal on to the command.
pub fn pass_on(pid: Pid, signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else { return };
    match kill(pid, signal) {
        Ok(()) => tracing::debug!("{signal} passed on to pid {pid}"),
        // It has ended meanwhile.
        Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!("passing {signal} on to pid {pid}: {error}"),
    }
}

/// A child's end as an exit status: its own, or 128 and the signal's number as shells have it.
pub fn status_of(status: WaitStatus) -> Option<u8> {
    match status {
        WaitStatus::Exited(_, code) => Some(u8::try_from(code & 0xff).unwrap_or(STATUS_FAILED)),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_commands_own() {
        let pid = Pid::from_raw(1);
        assert_eq!(status_of(WaitStatus::Exited(pid, 0)), Some(0));
        assert_eq!(status_of(WaitStatus::Exited(pid, 255)), Some(255));
        assert_eq!(status_of(WaitStatus::Signaled(pid, Signal::SIGKILL, false)), Some(137));
        assert_eq!(status_of(WaitStatus::StillAlive), None);
    }

    #[test]
    fn commands_are_found_as_execvp_finds_them() {
        assert_eq!(resolve(OsStr::new("./x")).expect("a path"), Path::new("./x"));
        assert!(resolve(OsStr::new("sh")).expect("sh").ends_with("sh"));
        let error = resolve(OsStr::new("no-such-command-here")).expect_err("nothing").to_string();
        assert!(error.contains("not found in PATH"), "{error}");
    }

    #[test]
    fn descriptors_that_are_open_are_listed() {
        let file = File::open("/dev/null").expect("/dev/null");
        let listed = open_descriptors().expect("a list");
        assert!(listed.contains(&file.as_raw_fd()) && listed.iter().all(|fd| *fd > 2), "{listed:?}");
    }
}
