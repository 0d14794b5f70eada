//! File systems that answer by themselves, and those that somebody else may hold up.

use std::{ffi::CStr, fs::File, io, os::fd::AsRawFd as _};

use super::descriptor::owned;

/// openat2(2) with `root` for the root of all paths and links.
pub(super) fn open_in(root: &File, path: &CStr, resolve: u64) -> io::Result<File> {
    // SAFETY: open_how is plain integers, for which zeros are its defaults.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS | resolve;
    // SAFETY: a descriptor, a string that ends in a zero, and a struct with its size.
    let fd = unsafe {
        libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &raw const how, size_of_val(&how))
    };
    owned(fd).map(File::from)
}

/// Is the root of a `/proc/PID/mountinfo` on a file system of this machine's own? Its lines are `ID PARENT DEV ROOT MOUNTPOINT
/// OPTIONS… - TYPE SOURCE …`; what is mounted last at a place is seen there.
pub(super) fn is_root_local(mountinfo: &str) -> bool {
    let root = mountinfo.lines().rfind(|line| line.split(' ').nth(4) == Some("/"));
    root.and_then(kind_of).is_some_and(|kind| LOCAL.contains(&kind))
}

/// Are all of them, so that no path can lead to one that waits for somebody?
pub(super) fn are_all_local(mountinfo: &str) -> bool {
    let answers =
        |line| kind_of(line).is_some_and(|kind| LOCAL.contains(&kind) || KERNELS_OWN.contains(&kind));
    !mountinfo.is_empty() && mountinfo.lines().all(answers)
}

fn kind_of(line: &str) -> Option<&str> {
    line.split_once(" - ")?.1.split(' ').next()
}

/// File systems of this machine's own disks and memory.
const LOCAL: [&str; 10] =
    ["btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "overlay", "squashfs", "tmpfs", "xfs"];
/// What the kernel itself answers for.
const KERNELS_OWN: [&str; 18] = [
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_somebody_else_runs_is_not_asked() {
        let line = |kind: &str| {
            format!("1 0 8:1 / / rw,relatime - {kind} /dev/x rw\n2 1 0:5 / /proc rw - proc proc rw\n")
        };
        assert!(is_root_local(&line("ext4")) && is_root_local(&line("overlay")));
        assert!(!is_root_local(&line("fuse.sshfs")) && !is_root_local(&line("nfs4")) && !is_root_local(""));
        assert!(!is_root_local(&(line("ext4") + &line("fuse.x"))));
        assert!(are_all_local(&(line("ext4") + &line("proc") + &line("tmpfs"))));
        assert!(!are_all_local(&(line("ext4") + &line("fuse.x"))) && !are_all_local(""));
    }
}
