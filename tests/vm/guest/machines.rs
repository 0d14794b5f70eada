//! What the special runs are about: that the kernel is what its command line asked for. A kernel that ignores the option
//! would pass every other case and prove nothing.

use std::fs;

use anyhow::{Context as _, Result, ensure};

/// `lockdown=integrity`.
pub fn is_locked_down() -> Result<String> {
    let path = "/sys/kernel/security/lockdown";
    let state = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    ensure!(state.contains("[integrity]"), "{path}: {state}");
    Ok(state.trim().to_owned())
}

/// `preempt=full`, which takes CONFIG_PREEMPT_DYNAMIC.
pub fn is_fully_preemptible() -> Result<String> {
    let path = "/sys/kernel/debug/sched/preempt";
    let state = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    ensure!(state.contains("(full)"), "{path}: {state}");
    Ok(state.trim().to_owned())
}
