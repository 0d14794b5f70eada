//! What tracing cannot do without, in words.

use std::fmt;

use super::trial::Trial;

/// Major, minor and patch number.
pub type Version = (u32, u32, u32);

/// The oldest kernel that has BPF ring buffers and the capabilities CAP_BPF and CAP_PERFMON.
pub const OLDEST_KERNEL: Version = (5, 8, 0);
/// Something that tracing cannot do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The kernel is older than [`OLDEST_KERNEL`].
    Kernel(Version),
    /// A capability, and what for.
    Capability(&'static str, &'static str),
    /// All capabilities are there, in a user namespace.
    UserNamespace,
    /// All capabilities are there, and this system call is refused nevertheless.
    Policy(&'static str),
    /// No uprobes in this kernel.
    Uprobes(Trial),
    /// Too little memory may be locked.
    Memlock(u64),
    /// In a nested PID namespace nobody says which process is which.
    ProcessIds,
    /// A limit that strobe was given is reached: in words, with what to do.
    Limit(String),
    /// The programs do not load, for another reason.
    Programs(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel((major, minor, patch)) => write!(
                f,
                "Linux {major}.{minor}.{patch} has no BPF ring buffer: strobe needs Linux {}.{} or newer",
                OLDEST_KERNEL.0, OLDEST_KERNEL.1
            ),
            Self::Capability(name, what) => write!(
                f,
                "the capability {name} is missing, which this kernel wants for {what}: run strobe as root, or with the \
                 capabilities that `strobe features` and docs/strobe.md name"
            ),
            Self::UserNamespace => f.write_str(
                "strobe has its capabilities in a user namespace only, where the kernel allows neither BPF programs nor uprobes: \
                 start it outside, as the host's root (no rootless container)",
            ),
            Self::Policy(call) => write!(
                f,
                "the system call {call} is refused although the capabilities are there: a policy forbids it (a container's \
                 seccomp profile, SELinux, AppArmor)"
            ),
            Self::Uprobes(trial) => write!(
                f,
                "this kernel has no uprobes ({trial}): it needs CONFIG_UPROBE_EVENTS=y, and /sys mounted"
            ),
            Self::Memlock(bytes) => write!(
                f,
                "the capability CAP_SYS_RESOURCE is missing, or a higher RLIMIT_MEMLOCK (it is {bytes} bytes): before Linux 5.11 \
                 BPF maps count as locked memory; allow it by CAP_SYS_RESOURCE, LimitMEMLOCK=infinity or `ulimit -l unlimited`"
            ),
            Self::ProcessIds => f.write_str(
                "strobe is in a PID namespace of its own and this kernel has no BTF (/sys/kernel/btf/vmlinux, \
                 CONFIG_DEBUG_INFO_BTF): it cannot be told which process is which; give it the host's PID namespace",
            ),
            Self::Limit(what) => f.write_str(what),
            Self::Programs(why) => write!(f, "this kernel refuses strobe's programs: {why}"),
        }
    }
}
