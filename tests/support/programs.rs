//! The three programs under test, built in release mode beside the test itself, once per test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::machine;

/// The path of `strobe`, `analyze` or `offsetgen`.
pub fn path(name: &str) -> Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| build().map_err(|e| format!("{e:#}")));
    let path = folder.as_ref().map_err(|e| anyhow::anyhow!("{e}"))?.join(name);
    if !path.is_file() {
        bail!("{} was not built", path.display());
    }
    Ok(path)
}

/// `STROBE_BIN_DIR` names a folder of programs to test as they are; otherwise cargo brings them up to date.
fn build() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("STROBE_BIN_DIR") {
        return Ok(PathBuf::from(dir));
    }
    let target = target_dir()?;
    let mut cargo = Command::new(env!("CARGO"));
    // What `cargo test` tells a test about its own package makes build scripts run again in here, and once more outside.
    let of_this_test = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|p| name.starts_with(p));
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_this_test(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    let status = cargo
        .args(["build", "--quiet", "--locked", "--release", "--target-dir"])
        .arg(&target)
        .args(["--workspace", "--bin", "strobe", "--bin", "analyze", "--bin", "offsetgen"])
        .current_dir(machine::workspace())
        .status()
        .context("run cargo")?;
    if !status.success() {
        bail!("cargo build of the programs under test: {status}");
    }
    Ok(target.join("release"))
}

/// A test runs from `TARGET/PROFILE/deps/NAME-HASH`, the demo and the bench from `TARGET/PROFILE/NAME`.
fn target_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("the path of this program")?;
    let folder = exe.parent().filter(|f| !f.ends_with("deps")).or_else(|| exe.ancestors().nth(2));
    let target = folder.and_then(Path::parent).map(Path::to_path_buf);
    target.with_context(|| format!("{} is not in a target folder", exe.display()))
}
