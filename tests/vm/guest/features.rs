//! Feature gates, on both sides: what `strobe features` says is there where the kernel has it, and not where it has not. The
//! truth comes from the kernel's version and files, never from strobe.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::bench::STROBE;
use crate::boot;
use crate::loading::MOST_INSTRUCTIONS;

/// One line of `strobe features --json`.
#[derive(Debug, Deserialize)]
struct Feature {
    name: String,
    available: bool,
    required: bool,
    detail: String,
}

/// What the answer depends on.
struct Kernel {
    version: (u32, u32, u32),
    locked_down: bool,
    btf: bool,
}

/// A feature, and whether a kernel has it.
type Gate = (&'static str, fn(&Kernel) -> bool);

const GATES: [Gate; 11] = [
    ("kernel", |kernel| kernel.version >= (5, 8, 0)),
    ("uprobes", |_| true),
    ("programs", |_| true),
    ("attaching", |_| true),
    ("leases", |_| true),
    ("BTF", |kernel| kernel.btf),
    ("connections", |kernel| kernel.btf),
    ("iter/task", |kernel| kernel.version >= (5, 8, 0)),
    ("iter/task_vma", |kernel| kernel.version >= (5, 12, 0)),
    ("uprobe_multi", |kernel| kernel.version >= (6, 6, 0)),
    // Debian's 5.10 takes it away by "integrity" too (kernel/trace/bpf_trace.c, LOCKDOWN_BPF_WRITE_USER).
    ("writing from probes", |kernel| !kernel.locked_down),
];

fn is_locked_down() -> bool {
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    lockdown.contains("[integrity]") || lockdown.contains("[confidentiality]")
}

/// Whether probes may write into the programs that they are in.
pub fn writes_from_probes() -> bool {
    !is_locked_down()
}

/// The number of instructions that the verifier walked in the program that it had most work with, and that one's name.
fn largest(detail: &str) -> Option<(u32, &str)> {
    let words: Vec<&str> = detail.split_once("it walked ")?.1.split(' ').collect();
    let [count, "instructions", "of", name, ..] = words[..] else { return None };
    Some((count.parse().ok()?, name.trim_end_matches(',')))
}

/// `strobe features` as root.
pub fn gates() -> Result<String> {
    let kernel = Kernel {
        version: boot::kernel_version()?,
        locked_down: is_locked_down(),
        btf: fs::exists("/sys/kernel/btf/vmlinux")?,
    };
    let out = Command::new(STROBE).args(["features", "--json"]).output().context("run strobe features")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let features: Vec<Feature> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("features --json")?;
    ensure!(out.status.success(), "strobe features: {}\n{text}", out.status);
    ensure!(
        features.iter().all(|f| f.available || !f.required),
        "status 0, and something is missing: {text}"
    );
    let mut checked = Vec::new();
    for (name, has) in GATES {
        let Some(feature) = features.iter().find(|f| f.name == name) else { continue };
        let expected = has(&kernel);
        ensure!(feature.available == expected, "{name} should be {expected}: {}", feature.detail);
        checked.push(format!("{name}={expected}"));
    }
    let programs = features.iter().find(|feature| feature.name == "programs");
    let largest = programs.and_then(|programs| largest(&programs.detail));
    // bpf_prog_info.verified_insns.
    let tells = kernel.version >= (5, 16, 0);
    ensure!(
        largest.is_some_and(|(count, _)| count <= MOST_INSTRUCTIONS) || !tells && largest.is_none(),
        "at most {MOST_INSTRUCTIONS} instructions are to be verified: {text}"
    );
    if let Some((count, name)) = largest {
        checked.push(format!("verified: {name} {count}"));
    }
    ensure!(checked.len() >= 4, "only {checked:?} of the gates are in {text}");
    Ok(checked.join(" "))
}
