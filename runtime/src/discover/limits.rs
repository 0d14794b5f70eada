//! What strobe may have open: a descriptor per probe and per process, which the usual 1,024 does not carry.

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of open descriptors to the hard one. `strobe exec` forks its command before, so that the command
/// keeps the limit that strobe was given: Go programs raise their own, and others may use select(2), which takes no more.
pub fn raise_descriptor_limit() -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("reading RLIMIT_NOFILE")?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
            .with_context(|| format!("raising RLIMIT_NOFILE from {soft} to {hard}"))?;
    }
    Ok(())
}
