//! `strobe exec` with a Go program that counts its signals.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use strobe_tests::golang::{self, Build, go};
use strobe_tests::process::Running;
use strobe_tests::{machine, programs};

/// The Go version of the programs here; which one does not matter.
pub const GO: &str = go(26);

/// `strobe` without any configuration of the surroundings, and with spans going nowhere.
pub fn strobe(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(programs::path("strobe")?);
    clean(&mut command);
    command.args(args);
    Ok(command)
}

/// Takes the configuration of the surroundings away.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env("OTEL_TRACES_EXPORTER", "none");
    // A shell without job control starts what is behind `&` with SIGINT ignored, and strobe and its command would both ignore it, too.
    // SAFETY: what runs between fork and exec is one system call.
    unsafe {
        command.pre_exec(|| {
            let before = libc::signal(libc::SIGINT, libc::SIG_DFL);
            if before == libc::SIG_ERR { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        })
    };
}

/// A copy of the program under `tests/apps/APP`, in a folder that everybody may enter.
pub fn app(name: &str) -> Result<(tempfile::TempDir, PathBuf)> {
    machine::require_probes()?;
    let folder = tempfile::tempdir().context("a folder for the test")?;
    let path = folder.path().join(name);
    machine::copy_program(&golang::build(name, GO, Build::Stripped)?, &path)?;
    for path in [folder.path(), &path] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode)?;
    }
    Ok((folder, path))
}

/// The counting program under `strobe exec`.
pub struct Counting {
    pub strobe: Running,
    /// Its own process id, as it sees it.
    pub pid: i32,
    _folder: tempfile::TempDir,
}

impl Counting {
    /// Starts it with these arguments; `prepare` may change how strobe itself is started.
    pub fn start(args: &[&str], prepare: impl FnOnce(Command) -> Result<Command>) -> Result<Self> {
        let (folder, app) = app("signals")?;
        let app = app.to_str().context("path")?;
        let mut command = prepare(strobe(&[&["exec", "--", app], args].concat())?)?;
        let strobe = Running::start(&mut command)?;
        let line = strobe.expect_stdout("ready ", 0)?;
        let pid = line.trim_start_matches("ready ").parse().context("the program's process id")?;
        Ok(Counting { strobe, pid, _folder: folder })
    }

    /// strobe's process id.
    pub fn strobe_pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.strobe.pid())?)
    }

    /// Waits for its end; what it counted has to be this.
    pub fn counted(&mut self, want: &[&str]) -> Result<()> {
        let status = self.strobe.wait(Duration::from_secs(20))?;
        ensure!(status.success(), "{status}: {}", self.strobe.output());
        let lines = self.strobe.stdout.all();
        let counts: Vec<&String> = lines.iter().filter(|line| line.starts_with("SIG")).collect();
        ensure!(counts == want, "expected {want:?}, counted {counts:?}: {}", self.strobe.output());
        Ok(())
    }
}

/// kill(2): a negative process id names a group.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: two integers; the caller names a process of its own.
    let result = unsafe { libc::kill(pid, signal) };
    ensure!(result == 0, "signal {signal} to {pid}: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < end, "{what} did not come about in 10 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many of a process's children have ended without anybody having waited for them.
pub fn zombies(pid: u32) -> Result<usize> {
    let is_zombie = |child: &i32| {
        // proc(5): the state stands behind the name in brackets. One that is gone is none.
        std::fs::read_to_string(format!("/proc/{child}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
    };
    Ok(children(pid)?.iter().filter(|child| is_zombie(child)).count())
}

/// The children of a process.
pub fn children(pid: u32) -> Result<Vec<i32>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    text.split_whitespace().map(|pid| pid.parse().context("a process id")).collect()
}
