//! One process, exactly: its pidfd is opened first, everything else is read after that, and [`Process::still_the_same`] says
//! whether what was read is of one and the same process and program. An id alone may be another process's by now.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use super::{
    descriptor::{has_ended, pidfd_open},
    error::OpenError,
    filesystems::{are_all_local, is_root_local, open_in},
};
use crate::files::descriptor_path;

/// A process in both numberings that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// As the agent's PID namespace and its /proc have it.
    pub pid: u32,
    /// As the eBPF programs have it: in the initial PID namespace.
    pub tgid: u32,
}

/// A process that is there, or was until a moment ago. Holds two descriptors, neither of which keeps anybody from writing to
/// or removing the executable.
#[derive(Debug)]
pub struct Process {
    /// Its numbers.
    pub id: ProcessId,
    /// Start time in clock ticks since boot: with the pid it names a process for ever.
    pub start_ticks: u64,
    /// How the process itself calls its executable (in its own mount namespace); for messages and debug files.
    pub exe: PathBuf,
    pidfd: OwnedFd,
    /// The executable by O_PATH: the inode is known, nothing can be read by it.
    place: File,
    inode: (u64, u64),
}

/// Looks at a process. Kernel 5.3 (pidfd_open).
pub fn open(id: ProcessId) -> Result<Process, OpenError> {
    let pid = id.pid;
    let failed = |what, source| OpenError::from_io(pid, what, "CAP_SYS_PTRACE", source);
    let pidfd = pidfd_open(pid).map_err(|error| failed("pidfd_open", error))?;
    let start_ticks = start_ticks(pid).map_err(|error| failed("reading /proc/PID/stat", error))?;
    let (place, exe) = match executable(pid) {
        Ok(found) => found,
        // A process that has ended, but whose parent has not asked for its status, has none either.
        Err(error) if error.kind() == ErrorKind::NotFound && !has_ended(&pidfd) => {
            return Err(OpenError::KernelThread { pid });
        }
        Err(error) => return Err(failed("reading /proc/PID/exe", error)),
    };
    let inode = inode_of(&place).map_err(|error| failed("looking at /proc/PID/exe", error))?;
    Ok(Process { id, start_ticks, exe, pidfd, place, inode })
}

impl Process {
    /// Readable once the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Hands the pidfd over, to be waited for, and closes the rest.
    pub fn into_pidfd(self) -> OwnedFd {
        self.pidfd
    }

    /// Device and number of its executable's inode, as stat(2) has them.
    pub fn inode(&self) -> (u64, u64) {
        self.inode
    }

    /// Opens the executable for reading: the very file that runs, whatever its name is by now. It is asked for only once the
    /// process is known to be wanted, since an open file keeps its file system mounted.
    pub fn executable(&self) -> Result<File, OpenError> {
        let path = descriptor_path(&self.place);
        open_for_reading(&path).map_err(|source| {
            OpenError::from_io(self.id.pid, "opening its executable", "CAP_DAC_READ_SEARCH", source)
        })
    }

    /// Does it still run, and the same program? Then all that was read since [`open`] is its.
    pub fn still_the_same(&self) -> Result<(), OpenError> {
        let pid = self.id.pid;
        if has_ended(&self.pidfd) {
            return Err(OpenError::Gone { pid });
        }
        let failed = |what, source| OpenError::from_io(pid, what, "CAP_SYS_PTRACE", source);
        let ticks = start_ticks(pid).map_err(|error| failed("reading /proc/PID/stat", error))?;
        let (place, _) = executable(pid).map_err(|error| failed("reading /proc/PID/exe", error))?;
        let inode = inode_of(&place).map_err(|error| failed("looking at /proc/PID/exe", error))?;
        if ticks != self.start_ticks || inode != self.inode {
            return Err(OpenError::Gone { pid });
        }
        Ok(())
    }

    /// Does `path`, as the process itself would resolve it, name its executable? Right in containers, for links and for
    /// relative parts. Kernel 5.6 (openat2).
    pub fn calls_its_executable(&self, path: &Path) -> bool {
        match self.look_up(path).and_then(|file| inode_of(&file)) {
            Ok(inode) => inode == self.inode,
            // Removed since, replaced, or not to be looked up without waiting: then its name is left, and that is told apart
            // from an ordinary deployment on the host, where the old file's processes are not wanted.
            Err(_) => self.in_other_mounts() && without_deleted(&self.exe) == path,
        }
    }

    /// Finds what `path` names for the process, and never waits for a file system that somebody else runs (FUSE, the network),
    /// as a container may have mounted one to hold strobe up: by what the kernel has in memory (5.12), else within the
    /// container's root where that is of a kind that answers by itself.
    fn look_up(&self, path: &Path) -> io::Result<File> {
        let proc = PathBuf::from(format!("/proc/{}", self.id.pid));
        let root = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(proc.join("root"))?;
        let path = CString::new(path.as_os_str().as_bytes())?;
        match open_in(&root, &path, libc::RESOLVE_CACHED) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINVAL)) => {
                // Also where a link on the way was never followed before: its time of access wants to be written.
                let mounts = fs::read_to_string(proc.join("mountinfo"))?;
                if are_all_local(&mounts) {
                    return open_in(&root, &path, 0);
                }
                if !is_root_local(&mounts) {
                    return Err(error);
                }
                open_in(&root, &path, libc::RESOLVE_NO_XDEV)
            }
            found => found,
        }
    }

    fn in_other_mounts(&self) -> bool {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        namespace(&self.id.pid.to_string()) != namespace("self")
    }

    /// The parent's process id, as the agent sees it; 0 if it has none here.
    pub fn parent(pid: u32) -> io::Result<u32> {
        stat_field(pid, 4)?.try_into().map_err(io::Error::other)
    }
}

/// Device and number of an open file's inode. Asks no file system: they never change. Kernel 4.11.
pub(super) fn inode_of(file: &File) -> io::Result<(u64, u64)> {
    // SAFETY: statx is plain integers, for which zeros are fine.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: a descriptor, an empty string, and a buffer of the kernel's own type.
    let result =
        unsafe { libc::statx(file.as_raw_fd(), c"".as_ptr(), flags, libc::STATX_INO, &raw mut found) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((libc::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino))
}

/// The executable by the kernel's own link: right even if its path names another file by now.
fn executable(pid: u32) -> io::Result<(File, PathBuf)> {
    let link = format!("/proc/{pid}/exe");
    let place = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&link)?;
    Ok((place, fs::read_link(&link)?))
}

/// Never waits, as opening a FIFO or a device for reading would; is not inherited by children.
pub fn open_for_reading(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)
}

fn start_ticks(pid: u32) -> io::Result<u64> {
    stat_field(pid, 22)
}

/// A numeric field of `/proc/PID/stat`, counted from 1 as proc(5) does. The name, field 2, may hold spaces and parentheses.
fn stat_field(pid: u32, number: usize) -> io::Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    let text = String::from_utf8_lossy(&stat);
    let (_, after_name) = text.rsplit_once(')').unwrap_or_default();
    let field = after_name.split_whitespace().nth(number - 3);
    field
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no number as its field {number}")))
}

/// `/proc/PID/exe` of a file that was removed ends so.
fn without_deleted(exe: &Path) -> &Path {
    let bytes = exe.as_os_str().as_bytes();
    bytes.strip_suffix(b" (deleted)").map_or(exe, |path| Path::new(std::ffi::OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this() -> ProcessId {
        ProcessId { pid: std::process::id(), tgid: std::process::id() }
    }

    #[test]
    fn this_process_is_what_it_is() {
        let process = open(this()).expect("opened");
        process.still_the_same().expect("the same");
        assert_eq!(Some(&process.exe), std::env::current_exe().ok().as_ref());
        assert!(process.calls_its_executable(&process.exe));
        assert!(!process.calls_its_executable(Path::new("/proc")));
        process.executable().expect("readable").metadata().expect("metadata");
        assert!(Process::parent(std::process::id()).expect("a parent") > 0);
    }

    #[test]
    fn one_that_ends_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let process = open(ProcessId { pid: child.id(), tgid: child.id() }).expect("opened");
        child.kill().expect("killed");
        while !has_ended(&process.pidfd()) {
            std::thread::yield_now();
        }
        // It is a zombie now: its number is still taken.
        assert!(matches!(process.still_the_same(), Err(OpenError::Gone { .. })));
        assert!(matches!(open(process.id), Err(OpenError::Gone { .. })));
        child.wait().expect("reaped");
        assert!(matches!(open(process.id), Err(OpenError::Gone { .. })));
    }
}
