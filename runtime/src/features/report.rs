//! What `strobe features` prints: one line for each thing, with what follows where it is not there.

use serde::Serialize;

use super::facts::Facts;
use super::missing::OLDEST_KERNEL;
use super::trial::Trial;
use super::trials;
use crate::discover;
use crate::programs::{LoadOptions, Programs};

/// One line of `strobe features`.
#[derive(Debug, Clone, Serialize)]
pub struct Feature {
    /// What it is.
    pub name: &'static str,
    /// Whether this machine has it.
    pub available: bool,
    /// Whether strobe cannot trace without it.
    pub required: bool,
    /// What was seen.
    pub detail: String,
    /// What follows where it is not available.
    pub without: &'static str,
}

impl Feature {
    fn required(name: &'static str, available: bool, detail: String) -> Self {
        Self { name, available, required: true, detail, without: "strobe traces nothing" }
    }

    fn optional(name: &'static str, available: bool, detail: String, without: &'static str) -> Self {
        Self { name, available, required: false, detail, without }
    }
}

/// Everything `strobe features` reports. It tries what can be tried, so it says what the kernel does, not what it claims.
pub fn report(facts: &Facts) -> Vec<Feature> {
    let mut features = vec![kernel(facts), capabilities(facts), uprobes(facts)];
    features.extend(programs(facts));
    features.extend([processes(facts), lease(facts), btf(facts), process_ids(facts), connections()]);
    features.extend(newer_ways());
    features.extend([write_memory(), write_user()]);
    features
}

fn kernel(facts: &Facts) -> Feature {
    let (major, minor, patch) = facts.kernel;
    let detail = format!("Linux {major}.{minor}.{patch}; {}.{} or newer", OLDEST_KERNEL.0, OLDEST_KERNEL.1);
    // An older one with a distributor's additions may do: the programs decide.
    let without = "the programs below decide: a distributor may have added what is needed";
    Feature::optional("kernel", facts.kernel >= OLDEST_KERNEL, detail, without)
}

fn capabilities(facts: &Facts) -> Feature {
    let mut held: Vec<String> = facts.capabilities.iter().map(ToString::to_string).collect();
    held.sort();
    let held = match held.len() {
        0 => "none held".to_owned(),
        // Root's are too many to read.
        n if n > 12 => format!("{n} held"),
        _ => format!("held: {}", held.join(", ")),
    };
    let scope = if facts.user_namespace { ", in a user namespace, where they do not count" } else { "" };
    let detail = format!("{held}{scope}; this version of Linux wants {}", facts.wanted());
    Feature::optional("capabilities", true, detail, "")
}

fn uprobes(facts: &Facts) -> Feature {
    let works = facts.probes().works();
    let detail = match facts.missing() {
        Some(missing) if !works => missing.to_string(),
        _ => facts.probes().to_string(),
    };
    Feature::required("uprobes", works, detail)
}

/// The programs, and one of them attached to strobe's own file.
fn programs(facts: &Facts) -> [Feature; 2] {
    let loaded = Programs::load(&LoadOptions::default()).and_then(|mut programs| {
        programs.load_all(trials::writing_probes().unwrap_or(false))?;
        Ok(programs)
    });
    match loaded.map_err(|error| facts.missing_for_programs(&error)) {
        Ok(mut programs) => {
            let mut said = "the kernel's verifier accepts all programs".to_owned();
            if let Some((name, instructions)) = programs.largest() {
                said += &format!(
                    "; it walked {instructions} instructions of {name}, the most, and would walk a million"
                );
            }
            [Feature::required("programs", true, said), attach(facts, &mut programs)]
        }
        Err(missing) => [
            Feature::required("programs", false, missing.to_string()),
            Feature::required("attaching", false, "not tried: there is no program to attach".to_owned()),
        ],
    }
}

fn attach(facts: &Facts, programs: &mut Programs) -> Feature {
    let (works, detail) = match trials::attach(programs) {
        Ok(trial) => (trial.works(), trial.to_string()),
        Err(error) => match facts.missing() {
            Some(missing) => (false, missing.to_string()),
            None => (false, facts.missing_for_programs(&error).to_string()),
        },
    };
    Feature::required("attaching", works, format!("a probe in strobe's own file: {detail}"))
}

fn processes(facts: &Facts) -> Feature {
    let privileged = facts.has(caps::Capability::CAP_SYS_PTRACE);
    let detail = match (facts.processes.denied(), privileged) {
        (true, false) => "the capability CAP_SYS_PTRACE is missing".to_owned(),
        (true, true) => "tried: some are closed even to CAP_SYS_PTRACE, by a policy".to_owned(),
        (false, _) => facts.processes.to_string(),
    };
    let works = facts.processes.works() || privileged;
    Feature::required("other processes", works, format!("looking at their executables: {detail}"))
}

fn lease(facts: &Facts) -> Feature {
    let trial = trials::lease();
    let detail = match (&trial, facts.has(caps::Capability::CAP_LEASE)) {
        (Trial::Refused(nix::errno::Errno::EACCES), false) => {
            "the capability CAP_LEASE is missing".to_owned()
        }
        _ => trial.to_string(),
    };
    let without = "a program that is being overwritten cannot be held back: probes go as soon as its last process has ended";
    Feature::optional("leases", trial.works(), detail, without)
}

fn btf(facts: &Facts) -> Feature {
    let detail = if facts.btf { trials::BTF.to_owned() } else { format!("no {}", trials::BTF) };
    let without = "every program that starts is looked at by the agent, not by the kernel; nothing works in a nested PID namespace";
    Feature::optional("BTF", facts.btf, detail, without)
}

fn process_ids(facts: &Facts) -> Feature {
    let detail = match (facts.nested, facts.btf) {
        (false, _) => "strobe is in the first PID namespace: its process ids are the kernel's",
        (true, true) => "strobe is in a nested PID namespace: BTF tells which process is which",
        (true, false) => {
            "strobe is in a nested PID namespace, and without BTF nothing tells which process is which"
        }
    };
    Feature::required("process ids", !facts.nested || facts.btf, detail.to_owned())
}

/// Whether the kernel says where it keeps what tells a connection, and lets programs look.
fn connections() -> Feature {
    let without = "a request is below the call that sent it only where it says so itself";
    let (available, detail) = match (discover::tells_connections(), trials::is_confidential()) {
        (Err(error), _) => (false, error.to_string()),
        (Ok(()), true) => {
            (false, "lockdown is `confidentiality`: programs may not read the kernel's memory".to_owned())
        }
        (Ok(()), false) => (true, "BTF says where a socket has what both ends know".to_owned()),
    };
    Feature::optional("connections", available, detail, without)
}

/// What newer kernels have; the names are those of their functions.
fn newer_ways() -> [Feature; 3] {
    let has = |name, function, since: &str, without| {
        let available = trials::kernel_has(function);
        let detail = format!("{since}; {function} is {}in its BTF", if available { "" } else { "not " });
        Feature::optional(name, available, detail, without)
    };
    [
        has(
            "iter/task",
            "bpf_iter_task",
            "Linux 5.8",
            "in a nested PID namespace running processes are not found",
        ),
        has(
            "iter/task_vma",
            "bpf_iter_task_vma",
            "Linux 5.12",
            "the file that is really probed is looked up in /proc/PID/maps",
        ),
        has("uprobe_multi", "bpf_uprobe_multi_link_attach", "Linux 6.6", "each probe is attached by itself"),
    ]
}

/// The memory of another process is opened, and nothing is done with it.
fn write_memory() -> Feature {
    let trial = trials::memory();
    let without = "spans that are made by OpenTelemetry's API are traced in programs of the same user alone";
    let detail = format!("opening /proc/PID/mem for writing: {trial}");
    Feature::optional("writing into programs", trial.works(), detail, without)
}

/// Lockdown is seen by loading a program, not by reading a file that may be absent (field-notes §5).
fn write_user() -> Feature {
    let (available, detail) = match trials::writing_probes() {
        Ok(true) => (true, "bpf_probe_write_user is allowed".to_owned()),
        Ok(false) => (false, "bpf_probe_write_user is refused (lockdown)".to_owned()),
        Err(error) => (false, format!("could not be established: {error}")),
    };
    let without = "requests do not carry their trace context; programs do not know the ids of the spans that they make by hand, and \
                   those that pass trace contexts on make none by OpenTelemetry's API";
    Feature::optional("writing from probes", available, detail, without)
}
