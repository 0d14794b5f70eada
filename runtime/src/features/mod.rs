//! What this kernel and these privileges allow, and which of it strobe cannot do without.
//!
//! What can be tried is tried ([`trials`]), since capabilities promise more than kernels and policies keep. Names come
//! afterwards: when something was refused, [`Facts`] says what is missing. Those decisions are pure and tested by tables.

use std::{fmt, fs, io, os::unix::fs::MetadataExt as _};

use caps::{CapSet, Capability};
use nix::errno::Errno;

use crate::causes::{self, chain};
use crate::programs::ProgramsError;

mod report;
pub mod trials;

pub use report::{Feature, report};

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

/// Major, minor and patch number.
pub type Version = (u32, u32, u32);

/// The oldest kernel that has BPF ring buffers and the capabilities CAP_BPF and CAP_PERFMON.
pub const OLDEST_KERNEL: Version = (5, 8, 0);
/// From here on the memory of BPF maps is charged to the cgroup, before to RLIMIT_MEMLOCK.
const MEMLOCK_FREE: Version = (5, 11, 0);
/// The first patch of each stable series in which uprobes want CAP_SYS_ADMIN again (CVE-2025-38466, kernel commit
/// ba677dbe77af "perf: Revert to requiring CAP_SYS_ADMIN for uprobes").
const SYS_ADMIN_FOR_UPROBES: &[Version] =
    &[(5, 10, 240), (5, 15, 189), (6, 1, 146), (6, 6, 99), (6, 12, 39), (6, 15, 7)];

/// Where Ubuntu says which version its kernel is made of; nothing elsewhere.
const UBUNTU_SIGNATURE: &str = "/proc/version_signature";
/// The first kernel with `uprobe_multi` links, which want CAP_BPF and CAP_PERFMON alone, since it is a program that they attach.
const UPROBE_MULTI: Version = (6, 6, 0);

/// Does a kernel of this version want CAP_SYS_ADMIN for perf uprobes? A distributor's may, whatever its version.
pub fn uprobes_want_sys_admin(kernel: Version) -> bool {
    let (major, minor, _) = kernel;
    let series = SYS_ADMIN_FOR_UPROBES.iter().find(|first| (first.0, first.1) == (major, minor));
    series.map_or((major, minor) > (6, 15), |first| kernel >= *first)
}

/// What came of trying something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// It works.
    Works,
    /// The kernel said no.
    Refused(Errno),
    /// There was nothing to try it with, for this reason.
    Impossible(String),
}

impl Trial {
    /// Whether it works.
    pub fn works(&self) -> bool {
        *self == Self::Works
    }

    /// Whether it was a privilege that was lacking.
    pub fn denied(&self) -> bool {
        matches!(self, Self::Refused(Errno::EACCES | Errno::EPERM))
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => f.write_str("tried: it works"),
            Self::Refused(errno) => write!(f, "tried: {} ({errno:?})", errno.desc()),
            Self::Impossible(why) => write!(f, "not tried: {why}"),
        }
    }
}

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The running kernel.
    pub kernel: Version,
    /// The effective capabilities of this process.
    pub capabilities: Vec<Capability>,
    /// Is this process in a user namespace? Its capabilities do not count outside.
    pub user_namespace: bool,
    /// RLIMIT_MEMLOCK in bytes, after it was raised as far as it goes.
    pub memlock_bytes: u64,
    /// `kernel.perf_event_paranoid`. Above 2, which only Debian's and Ubuntu's kernels know, perf events are for CAP_SYS_ADMIN.
    pub paranoid: i32,
    /// Making a perf uprobe.
    pub uprobes: Trial,
    /// Making a `uprobe_multi` link, which is how strobe attaches where it can.
    pub multi: Trial,
    /// Looking at the executable of another process.
    pub processes: Trial,
    /// Is this process in another PID namespace than the first?
    pub nested: bool,
    /// `/sys/kernel/btf/vmlinux`: the kernel says where its fields are.
    pub btf: bool,
}

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

impl Facts {
    /// Tries what costs nothing to try. `witness` is the process that strobe has to look at; none stands for all of them.
    pub fn gather(witness: Option<u32>) -> anyhow::Result<Self> {
        let uname = nix::sys::utsname::uname()?;
        Ok(Self {
            kernel: true_version(
                &uname.release().to_string_lossy(),
                &uname.version().to_string_lossy(),
                &fs::read_to_string(UBUNTU_SIGNATURE).unwrap_or_default(),
            ),
            capabilities: caps::read(None, CapSet::Effective)?.into_iter().collect(),
            user_namespace: trials::in_user_namespace()?,
            memlock_bytes: trials::raise_memlock()?,
            paranoid: trials::perf_event_paranoid(),
            uprobes: trials::uprobe(),
            multi: trials::uprobe_multi(),
            processes: witness.map_or_else(trials::processes, trials::process),
            nested: PidNamespace::current()? != PidNamespace::default(),
            btf: fs::exists(trials::BTF)?,
        })
    }

    fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    fn admin(&self) -> bool {
        self.has(Capability::CAP_SYS_ADMIN)
    }

    /// Will the probes be `uprobe_multi` links, or would they be, were it not for a privilege?
    fn by_multi(&self) -> bool {
        self.multi.works() || self.multi.denied() && self.kernel >= UPROBE_MULTI
    }

    /// What came of trying the way by which strobe attaches here.
    pub fn probes(&self) -> &Trial {
        if self.by_multi() { &self.multi } else { &self.uprobes }
    }

    /// The capabilities that this kernel wants of whom traces another user's process.
    pub fn wanted(&self) -> &'static str {
        if !self.by_multi() && uprobes_want_sys_admin(self.kernel) {
            "CAP_SYS_ADMIN and CAP_SYS_PTRACE"
        } else {
            "CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE"
        }
    }

    /// The first thing that tracing cannot do without, as far as is known before the programs are loaded.
    pub fn missing(&self) -> Option<Missing> {
        if !self.probes().works() {
            return Some(if self.by_multi() { self.missing_for_multi() } else { self.missing_for_uprobes() });
        }
        // With the capability it is a policy that closes some process, as it may.
        if self.processes.denied() && !self.has(Capability::CAP_SYS_PTRACE) {
            return Some(Missing::Capability("CAP_SYS_PTRACE", "looking at other users' processes"));
        }
        (self.nested && !self.btf).then_some(Missing::ProcessIds)
    }

    fn missing_for_multi(&self) -> Missing {
        self.missing_for_bpf().unwrap_or(if self.user_namespace {
            Missing::UserNamespace
        } else {
            Missing::Policy("bpf")
        })
    }

    /// What programs want of whom loads them; CAP_SYS_ADMIN stands for both.
    fn missing_for_bpf(&self) -> Option<Missing> {
        if self.admin() {
            return None;
        }
        let wanted = [
            (Capability::CAP_BPF, "CAP_BPF", "loading programs and maps"),
            (Capability::CAP_PERFMON, "CAP_PERFMON", "programs that read another process's memory"),
        ];
        let missing = wanted.iter().find(|(capability, ..)| !self.has(*capability));
        missing.map(|(_, name, what)| Missing::Capability(name, what))
    }

    fn missing_for_uprobes(&self) -> Missing {
        if !self.uprobes.denied() {
            return Missing::Uprobes(self.uprobes.clone());
        }
        if self.admin() {
            return if self.user_namespace {
                Missing::UserNamespace
            } else {
                Missing::Policy("perf_event_open")
            };
        }
        if uprobes_want_sys_admin(self.kernel) {
            return Missing::Capability("CAP_SYS_ADMIN", "uprobes");
        }
        if self.paranoid > 2 {
            let what = "uprobes while kernel.perf_event_paranoid is above 2 (with 2, CAP_PERFMON would do)";
            return Missing::Capability("CAP_SYS_ADMIN", what);
        }
        let has = self.has(Capability::CAP_PERFMON);
        Missing::Capability(if has { "CAP_SYS_ADMIN" } else { "CAP_PERFMON" }, "uprobes")
    }

    /// What is missing when the programs were not loaded.
    pub fn missing_for_programs(&self, error: &ProgramsError) -> Missing {
        self.missing_after(causes::errno(error), || chain(error))
    }

    fn missing_after(&self, errno: Option<Errno>, text: impl FnOnce() -> String) -> Missing {
        let denied = matches!(errno, Some(Errno::EPERM | Errno::EACCES));
        if denied && self.user_namespace {
            return Missing::UserNamespace;
        }
        if denied && let Some(missing) = self.missing_for_bpf() {
            return missing;
        }
        if let Some(limit) = errno.filter(|errno| *errno != Errno::EAGAIN).and_then(causes::limit) {
            return Missing::Limit(format!("{}: {limit}", text()));
        }
        match () {
            () if self.kernel < OLDEST_KERNEL => Missing::Kernel(self.kernel),
            () if denied && self.kernel < MEMLOCK_FREE && self.memlock_bytes < u64::MAX => {
                Missing::Memlock(self.memlock_bytes)
            }
            () => Missing::Programs(text()),
        }
    }
}

/// The kernel's version with its true patch number. Debian's and Ubuntu's releases have a number of their ABI in its place
/// (`5.10.0-32-amd64`), and say the true one in `uname -v` ("#1 SMP Debian 5.10.223-1 (2024-08-10)") and in
/// [`UBUNTU_SIGNATURE`] ("Ubuntu 6.8.0-31.31-generic 6.8.1"). One of another series than the release is none.
fn true_version(release: &str, built: &str, signature: &str) -> Version {
    let said = version(release);
    let debian = built.split_once("Debian ").map(|(_, rest)| rest);
    let ubuntu = signature.strip_prefix("Ubuntu ").and_then(|rest| rest.split_whitespace().nth(1));
    let truth = debian.or(ubuntu).map(version);
    truth.filter(|truth| (truth.0, truth.1) == (said.0, said.1)).unwrap_or(said)
}

/// `6.18.44-fc-v782` is (6, 18, 44); what cannot be read is 0.
fn version(release: &str) -> Version {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests;
