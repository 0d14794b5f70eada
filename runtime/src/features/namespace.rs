//! Namespaces of process ids.

use std::{fs, io, os::unix::fs::MetadataExt as _};

/// The agent's PID namespace, as `bpf_get_ns_current_pid_tgid` wants it; zeros for the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PidNamespace {
    /// Device of `/proc/self/ns/pid`.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
}

/// Inode of the first PID namespace (include/uapi/linux/nsfs.h, `PID_NS_INIT_INO`; include/linux/proc_ns.h before 6.16).
const INIT_PID_NS_INO: u64 = 0xEFFF_FFFC;

impl PidNamespace {
    /// The namespace that this process is in.
    pub fn current() -> io::Result<Self> {
        let meta = fs::metadata("/proc/self/ns/pid")?;
        Ok(if meta.ino() == INIT_PID_NS_INO {
            Self::default()
        } else {
            Self { dev: meta.dev(), ino: meta.ino() }
        })
    }
}
