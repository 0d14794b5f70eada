//! `offsetgen toolchain`: makes sure that a Go toolchain is in the cache, and prints where.

use anyhow::Result;

use crate::cli::ToolchainOptions;
use crate::go::cache::Store;
use crate::go::release::{Asked, asked};
use crate::output;
use crate::progress::Progress;

/// Always true, or an error.
pub fn run(options: &ToolchainOptions) -> Result<bool> {
    let asked = asked(&options.version)?;
    let store = Store::open(&options.cache)?;
    let progress = Progress::new();
    let release = match asked {
        Asked::Exactly(release) => release,
        Asked::Newest(minor) => store.newest(minor, &progress)?,
    };
    let toolchain = store.ensure(release, &progress)?;
    output::print(&format!("{}\n", toolchain.goroot.display()))?;
    Ok(true)
}
