//! What this kernel and these privileges allow, and which of it strobe cannot do without.
//!
//! Facts are gathered by [`Facts::gather`]; what follows from them is decided by pure functions that a table tests.

use std::{fmt, fs};

use caps::{CapSet, Capability};
use serde::Serialize;

use crate::programs::{LoadOptions, Programs};

/// The oldest kernel that has BPF ring buffers and the capabilities CAP_BPF and CAP_PERFMON.
pub const OLDEST_KERNEL: (u32, u32) = (5, 8);

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Major and minor of the running kernel.
    pub kernel: (u32, u32),
    /// CAP_BPF, or CAP_SYS_ADMIN in its place.
    pub cap_bpf: bool,
    /// CAP_PERFMON, or CAP_SYS_ADMIN in its place.
    pub cap_perfmon: bool,
    /// CAP_SYS_PTRACE: reading other users' `/proc/PID/exe`.
    pub cap_sys_ptrace: bool,
    /// `/sys/bus/event_source/devices/uprobe`: the kernel was built with `CONFIG_UPROBE_EVENTS`.
    pub uprobe_pmu: bool,
}

/// Something that tracing cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The kernel is older than [`OLDEST_KERNEL`].
    Kernel((u32, u32)),
    /// A capability.
    Capability(&'static str),
    /// No uprobes in this kernel.
    Uprobes,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel((major, minor)) => write!(
                f,
                "Linux {major}.{minor} has no BPF ring buffer: strobe needs Linux {}.{} or newer",
                OLDEST_KERNEL.0, OLDEST_KERNEL.1
            ),
            Self::Capability(name) => {
                write!(f, "the capability {name} is missing: run strobe as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE")
            }
            Self::Uprobes => f.write_str(
                "this kernel has no uprobes (/sys/bus/event_source/devices/uprobe): it needs CONFIG_UPROBE_EVENTS=y, and /sys mounted",
            ),
        }
    }
}

impl Facts {
    /// Looks at this machine and this process.
    pub fn gather() -> anyhow::Result<Self> {
        let has = |capability| caps::has_cap(None, CapSet::Effective, capability);
        let admin = has(Capability::CAP_SYS_ADMIN)?;
        let uname = nix::sys::utsname::uname()?;
        Ok(Self {
            kernel: version(&uname.release().to_string_lossy()),
            cap_bpf: admin || has(Capability::CAP_BPF)?,
            cap_perfmon: admin || has(Capability::CAP_PERFMON)?,
            cap_sys_ptrace: has(Capability::CAP_SYS_PTRACE)?,
            uprobe_pmu: fs::exists("/sys/bus/event_source/devices/uprobe/type")?,
        })
    }

    /// The first thing that tracing cannot do without.
    pub fn missing(&self) -> Option<Missing> {
        [
            (self.kernel < OLDEST_KERNEL, Missing::Kernel(self.kernel)),
            (!self.cap_bpf, Missing::Capability("CAP_BPF")),
            (!self.cap_perfmon, Missing::Capability("CAP_PERFMON")),
            (!self.cap_sys_ptrace, Missing::Capability("CAP_SYS_PTRACE")),
            (!self.uprobe_pmu, Missing::Uprobes),
        ]
        .into_iter()
        .find_map(|(absent, what)| absent.then_some(what))
    }
}

/// `6.18.44-fc-v782` is (6, 18); what cannot be read is 0.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// One line of `strobe features`.
#[derive(Debug, Clone, Serialize)]
pub struct Feature {
    /// What it is.
    pub name: &'static str,
    /// Whether this machine has it.
    pub available: bool,
    /// Whether strobe cannot trace without it.
    pub required: bool,
    /// What was seen, or what is missing for lack of it.
    pub detail: String,
}

/// Everything `strobe features` reports. Loads programs, so it says what the kernel does, not what it claims.
pub fn report(facts: &Facts) -> Vec<Feature> {
    let feature = |name, available, required, detail: &str| Feature {
        name,
        available,
        required,
        detail: detail.to_owned(),
    };
    let kernel = format!(
        "Linux {}.{}; {}.{} or newer",
        facts.kernel.0, facts.kernel.1, OLDEST_KERNEL.0, OLDEST_KERNEL.1
    );
    let mut features = vec![
        feature("kernel", facts.kernel >= OLDEST_KERNEL, true, &kernel),
        feature("CAP_BPF", facts.cap_bpf, true, "loading programs and maps"),
        feature("CAP_PERFMON", facts.cap_perfmon, true, "uprobes, and reading the target's memory"),
        feature("CAP_SYS_PTRACE", facts.cap_sys_ptrace, true, "looking at other users' processes"),
        feature("uprobes", facts.uprobe_pmu, true, "CONFIG_UPROBE_EVENTS"),
    ];
    if facts.missing().is_none() {
        features.push(programs());
        features.push(write_user());
    }
    features
}

fn programs() -> Feature {
    let result = Programs::load(&LoadOptions::default()).and_then(|mut programs| programs.load_all());
    let detail = match &result {
        Ok(_) => "the kernel's verifier accepts all programs".to_owned(),
        Err(error) => error.to_string(),
    };
    Feature { name: "programs", available: result.is_ok(), required: true, detail }
}

/// Lockdown is seen by loading a program, not by reading a file that may be absent (field-notes §5).
fn write_user() -> Feature {
    use aya::{
        programs::ProgramType,
        sys::{BpfHelper, is_helper_supported},
    };
    let result = is_helper_supported(ProgramType::KProbe, BpfHelper::BPF_FUNC_probe_write_user);
    let (available, detail) = match result {
        Ok(true) => {
            (true, "bpf_probe_write_user is allowed; this version of strobe writes nothing".to_owned())
        }
        Ok(false) => {
            (false, "bpf_probe_write_user is refused (lockdown); nothing is missing for it".to_owned())
        }
        Err(error) => (false, format!("could not be established: {error}")),
    };
    Feature { name: "writing into the target", available, required: false, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Facts =
        Facts { kernel: (6, 1), cap_bpf: true, cap_perfmon: true, cap_sys_ptrace: true, uprobe_pmu: true };

    #[test]
    fn the_first_missing_thing_is_named() {
        for (facts, expected) in [
            (ALL, None),
            (Facts { kernel: (5, 4), ..ALL }, Some(Missing::Kernel((5, 4)))),
            (Facts { kernel: (5, 8), ..ALL }, None),
            (Facts { cap_bpf: false, ..ALL }, Some(Missing::Capability("CAP_BPF"))),
            (Facts { cap_sys_ptrace: false, ..ALL }, Some(Missing::Capability("CAP_SYS_PTRACE"))),
            (Facts { uprobe_pmu: false, ..ALL }, Some(Missing::Uprobes)),
        ] {
            assert_eq!(facts.missing(), expected);
        }
    }

    #[test]
    fn releases_are_read() {
        assert_eq!(version("6.18.44-fc-v782"), (6, 18));
        assert_eq!(version("5.10.0-35-cloud-arm64"), (5, 10));
        assert_eq!(version("garbage"), (0, 0));
    }
}
