//! What the end-to-end tests need of the machine, said in one line where it is missing: they never skip in silence.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

/// The kernel's switchboard for uprobes as perf events.
const UPROBE_PMU: &str = "/sys/bus/event_source/devices/uprobe/type";

/// Fails unless this process may attach uprobes.
pub fn require_probes() -> Result<()> {
    // SAFETY: geteuid has no arguments and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        bail!("the end-to-end tests attach real probes: run them as root (scripts/test)");
    }
    if !Path::new(UPROBE_PMU).exists() {
        bail!("this kernel has no uprobes ({UPROBE_PMU} is missing): the end-to-end tests cannot run here");
    }
    Ok(())
}

/// offsetgen's cache, outside the work tree: `$XDG_CACHE_HOME/strobe` or `~/.cache/strobe`.
pub fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("strobe"))
}

/// A folder in there for what the tests themselves make and keep (Go build caches, unpacked packages).
pub fn cache_dir(name: &str) -> Result<PathBuf> {
    let dir = cache()?.join("tests").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    Ok(dir)
}

/// Runs a command to its end; its output, or an error that has it.
pub fn run(command: &mut Command) -> Result<Output> {
    let out = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(out.status.success(), "{command:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    Ok(out)
}

/// Copies a program that is to be started, over what is there if need be (the inode stays). Another process does it: a file
/// that this one has open for writing is open in each child too until that child's own exec, and while it is, the kernel
/// starts no program from it (`ETXTBSY`).
pub fn copy_program(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").args(["--preserve=mode", "--"]).args([from, to])).map(drop)
}

/// Gives what was built its place in a cache, unless another test was there first: to replace what that one's readers have open is a
/// change of it (its last link goes), which they notice.
pub fn settle(built: &Path, place: &Path) -> Result<()> {
    let name = |path: &Path| CString::new(path.as_os_str().as_bytes()).context("a path with a zero in it");
    let (from, to) = (name(built)?, name(place)?);
    // SAFETY: both are strings with an end, and live until the call is over.
    let done = unsafe {
        libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::RENAME_NOREPLACE)
    };
    match io::Error::last_os_error() {
        error if done != 0 && error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("rename to {}", place.display()))
        }
        _ => Ok(()),
    }
}

/// The file with this extension in a folder.
pub fn find(folder: &Path, extension: &str) -> Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) {
            return Ok(path);
        }
    }
    bail!("no .{extension} file in {}", folder.display())
}

/// The root of the work tree.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf()
}
