//! What was found on this machine, and what is missing of what tracing wants. The decisions are pure and tested by tables.

use std::fs;

use caps::{CapSet, Capability};
use nix::errno::Errno;

use super::missing::{Missing, OLDEST_KERNEL, Version};
use super::namespace::PidNamespace;
use super::trial::Trial;
use super::trials;
use crate::causes::{self, chain};
use crate::programs::ProgramsError;

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

    pub(super) fn has(&self, capability: Capability) -> bool {
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
#[path = "tests.rs"]
mod tests;
