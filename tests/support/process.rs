//! Children of the tests: the Go programs and the agent. Their output is read by threads of its own, so that a test can
//! wait for a line with a limit, and show everything when it fails.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Longer than anything that a test waits for, machine load included.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A child with both its outputs collected; killed when dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    /// Lines of stdout.
    pub stdout: Lines,
    /// Lines of stderr.
    pub stderr: Lines,
    waited: Option<ExitStatus>,
}

/// The lines of one stream so far.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    shared: Arc<(Mutex<Stream>, Condvar)>,
}

#[derive(Debug, Default)]
struct Stream {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn collect(stream: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let into = lines.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                into.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
            into.with(|s| s.ended = true);
            into.shared.1.notify_all();
        });
        lines
    }

    fn push(&self, line: String) {
        self.with(|s| s.lines.push(line));
        self.shared.1.notify_all();
    }

    fn with<T>(&self, f: impl FnOnce(&mut Stream) -> T) -> T {
        f(&mut self.shared.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.with(|s| s.lines.clone())
    }

    /// The lines so far as one text.
    pub fn text(&self) -> String {
        self.all().join("\n")
    }

    /// Waits for the `nth` (from 0) line that contains `text`; `None` when the stream or the limit ends first.
    pub fn wait_for(&self, text: &str, nth: usize, limit: Duration) -> Option<String> {
        let end = Instant::now() + limit;
        let mut stream = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = stream.lines.iter().filter(|l| l.contains(text)).nth(nth) {
                return Some(line.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if stream.ended || left.is_zero() {
                return None;
            }
            stream = self.shared.1.wait_timeout(stream, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the stream.
    pub fn wait_for_end(&self, limit: Duration) {
        // No line contains a line end, so only the stream's end stops this early.
        let _ = self.wait_for("\n", 0, limit);
    }
}

impl Running {
    /// Starts `command`, whose stdin is empty.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let stdout = Lines::collect(child.stdout.take().context("stdout")?);
        let stderr = Lines::collect(child.stderr.take().context("stderr")?);
        Ok(Running { name, child, stdout, stderr, waited: None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on stderr.
    pub fn expect_stderr(&self, text: &str, nth: usize) -> Result<String> {
        self.expect(&self.stderr, text, nth)
    }

    /// Waits for a line on stdout.
    pub fn expect_stdout(&self, text: &str, nth: usize) -> Result<String> {
        self.expect(&self.stdout, text, nth)
    }

    fn expect(&self, lines: &Lines, text: &str, nth: usize) -> Result<String> {
        lines.wait_for(text, nth, PATIENCE).with_context(|| {
            format!("{} never printed {text:?} (number {nth}); it printed:\n{}", self.name, self.output())
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let pid = libc::pid_t::try_from(self.child.id()).context("process id")?;
        // SAFETY: kill takes two integers; the child has not been waited for, so the id is still its own.
        if self.waited.is_none() && unsafe { libc::kill(pid, signal) } != 0 {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("signal {signal} to {}", self.name));
        }
        Ok(())
    }

    /// Waits for its end and the end of its output.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().with_context(|| format!("wait for {}", self.name))? {
                self.waited = Some(status);
                self.stderr.wait_for_end(Duration::from_secs(2));
                self.stdout.wait_for_end(Duration::from_secs(2));
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("{} did not end within {limit:?}; it printed:\n{}", self.name, self.output());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM, then [`Self::wait`].
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(libc::SIGTERM)?;
        self.wait(PATIENCE)
    }

    /// Everything it printed, for an error.
    pub fn output(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}\n---", self.stdout.text(), self.stderr.text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.waited.is_none() {
            // It may have ended by itself: then there is nothing to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The status as a shell says it: the exit status, or 128 plus the signal.
pub fn shell_status(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
