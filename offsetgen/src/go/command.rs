//! The go command: run in surroundings of our own, and watched.
//!
//! It has no bound on a proxy that falls silent: one that may use the network is ended when it neither reads, writes nor
//! computes anything for too long.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::effort;
use crate::failure::{Failure, Stage};

/// Checking and unpacking show no growing file, but use the processor: so many clock ticks (10 ms each) are progress.
pub(super) const WORKING_TICKS: u64 = 5;
/// How often it is looked at.
pub(super) const POLL: Duration = Duration::from_millis(100);

/// A go command with nothing of the user's in its surroundings, and a cache of its own. Its module cache is not the one
/// that toolchains are in: Go 1.19 does not find its own packages when GOROOT lies in GOMODCACHE.
pub fn go_environment(go: &Path, cache: &Path) -> Command {
    let mut command = Command::new(go);
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited
        .filter(|name| name.to_str().is_some_and(|name| name.starts_with("GO") || name.starts_with("CGO")))
    {
        command.env_remove(name);
    }
    command
        .env("GOENV", "off")
        .env("GOFLAGS", "")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .env("GOTELEMETRY", "off")
        .env("GOMODCACHE", cache.join("modules"))
        .env("GOCACHE", cache.join("build"))
        .env("GOPATH", cache.join("gopath"))
        .stdin(Stdio::null());
    command
}

/// What a go command said.
pub struct Output {
    /// Whether it ended with status 0.
    pub success: bool,
    /// Whether a signal has ended it.
    pub killed: bool,
    /// All of it.
    pub stdout: String,
    /// All of it.
    pub stderr: String,
}

/// Runs a go command to its end. One that may use the network has a `limit`: no byte read or written, and no work of the
/// processor for so long, and it is ended.
pub fn run(mut command: Command, limit: Option<Duration>) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let _busy = effort::busy();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = match limit {
        None => child.wait().with_context(|| format!("cannot wait for {name}"))?,
        Some(limit) => wait(&mut child, limit)?,
    };
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(output(status, text(stdout), text(stderr)))
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let (mut done, mut since) = (0, Instant::now());
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for the go command")? {
            return Ok(status);
        }
        let now = transferred(child.id()) / 1024 + processor_ticks(child.id()) / WORKING_TICKS;
        if now != done {
            (done, since) = (now, Instant::now());
        }
        if since.elapsed() > limit {
            child.kill().context("cannot end the go command")?;
            child.wait().context("cannot wait for the go command")?;
            let text = format!("the go command made no progress for {} s", limit.as_secs());
            return Err(Failure::new(Stage::Fetch, text).into());
        }
        std::thread::sleep(POLL / 5);
    }
}

/// Bytes that a process has read and written so far, sockets included (`rchar` and `wchar`, proc_pid_io(5)).
fn transferred(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let fields = io.lines().filter_map(|line| line.strip_prefix("rchar: ").or(line.strip_prefix("wchar: ")));
    fields.filter_map(|bytes| bytes.parse::<u64>().ok()).sum()
}

pub(super) fn output(status: ExitStatus, stdout: String, stderr: String) -> Output {
    Output { success: status.success(), killed: status.code().is_none(), stdout, stderr }
}

pub(super) fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends with the process, whose status is what counts.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Processor time that a process has used (`utime` and `stime`, fields 14 and 15 of proc_pid_stat(5)).
pub(super) fn processor_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command's name, in parentheses, may hold anything; the fields count from behind it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// Go prints its security errors over many lines.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    if text.is_empty() { "failed without a message".to_owned() } else { text }
}
