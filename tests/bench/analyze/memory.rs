//! A process's own memory at its peak. The kernel keeps a peak of all resident pages only, mapped files included; so the
//! allocator is told never to give a page back, and the process is stopped at its very exit to count what it holds.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// glibc's settings under which freed memory stays with the process.
const KEEP: &str = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296";

/// Anonymous memory of `analyze --json FILE` at its exit, in KiB.
pub fn private_peak_kib(analyze: &Path, file: &Path) -> Result<u64> {
    let mut command = Command::new(analyze);
    command.arg("--json").arg(file).env("GLIBC_TUNABLES", KEEP);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec only ptrace is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| check(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0)).map(drop));
    }
    let child = command.spawn().context("start analyze")?;
    let pid = libc::pid_t::try_from(child.id()).context("pid")?;
    ensure!(stopped(pid)?, "analyze ended before it began");
    // SAFETY: the child is stopped and traced by this thread.
    check(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, libc::PTRACE_O_TRACEEXIT) })?;
    resume(pid)?;
    ensure!(stopped(pid)?, "analyze was not seen to exit");
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    resume(pid)?;
    while stopped(pid)? {
        resume(pid)?;
    }
    let line = text.lines().find_map(|l| l.strip_prefix("Anonymous:")).context("no line Anonymous")?;
    line.trim().trim_end_matches(" kB").parse().context("the line Anonymous")
}

/// Waits for the child; whether it has stopped rather than ended.
fn stopped(pid: libc::pid_t) -> Result<bool> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the answer.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) }.into())?;
    Ok(libc::WIFSTOPPED(status))
}

fn resume(pid: libc::pid_t) -> Result<()> {
    // SAFETY: the child is stopped and traced by this thread.
    check(unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, 0) })?;
    Ok(())
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
