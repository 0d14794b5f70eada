//! The parent's side: starts the child, reads what it says, sorts how it ended.

use std::{
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsRawFd, RawFd},
        unix::process::ExitStatusExt as _,
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::{
    answer::{PlanError, Planned},
    child::{STATUS_NOT_GO, STATUS_TRY_AGAIN, SUBCOMMAND, WARNING},
    own::Own,
};
use crate::discover::is_passing;

/// Wall time until the child is killed.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest Plan that is accepted.
const PLAN_BYTES: usize = 16 << 20;
/// What is read at once.
const CHUNK_BYTES: usize = 16 << 10;
/// How often a child is asked for its end that has closed its outputs: the two are a moment apart.
const REAP_INTERVAL: Duration = Duration::from_millis(1);

/// Plans `file`, whose `name` is for messages and debug files, in a child.
pub fn plan(file: &File, name: &str, own: &Own) -> Result<Planned, PlanError> {
    let passing = |what: &str, error: io::Error| sorted(format!("{name}: {what}: {error}"), &error);
    let input =
        file.try_clone().map_err(|error| passing("duplicating its descriptor for planning", error))?;
    let mut command = Command::new("/proc/self/exe");
    command.args([SUBCOMMAND, name]).env_clear().current_dir("/").stdin(Stdio::from(input));
    own.hand_to(&mut command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| passing("starting the planning child", error))?;
    let read = read_to_end(&mut child, Instant::now() + PATIENCE);
    if read.is_err() {
        // It may have ended by itself: then there is nothing to kill.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| passing("waiting for the planning child", error))?;
    let said = match read {
        Ok(said) => said,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let limit = PATIENCE.as_secs();
            return Err(PlanError::Refused(format!("{name}: planning took longer than {limit} s")));
        }
        Err(error) => return Err(passing("reading the plan", error)),
    };
    judge(name, status, &said)
}

fn sorted(reason: String, error: &io::Error) -> PlanError {
    if is_passing(error) { PlanError::TryAgain(reason) } else { PlanError::Refused(reason) }
}

/// What the child wrote.
#[derive(Debug, Default)]
struct Said {
    output: Vec<u8>,
    errors: Vec<u8>,
}

fn judge(name: &str, status: ExitStatus, said: &Said) -> Result<Planned, PlanError> {
    let text = String::from_utf8_lossy(&said.errors);
    let (warnings, reasons): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with(WARNING));
    if status.success() {
        let plan = serde_json::from_slice(&said.output)
            .map_err(|error| PlanError::Refused(format!("{name}: the planning child's plan: {error}")))?;
        let warnings =
            warnings.iter().filter_map(|line| line.strip_prefix(WARNING)).map(str::to_owned).collect();
        return Ok(Planned { plan, warnings });
    }
    let reason = match reasons.join("; ") {
        none if none.is_empty() => format!("{name}: the planning child ended with {status}"),
        reason => reason,
    };
    // SIGKILL comes from outside, mostly for want of memory; SIGBUS and the like come from the file.
    let passes = status.code() == Some(i32::from(STATUS_TRY_AGAIN)) || status.signal() == Some(libc::SIGKILL);
    if status.code() == Some(i32::from(STATUS_NOT_GO)) {
        return Err(PlanError::NotGo(reason));
    }
    Err(if passes { PlanError::TryAgain(reason) } else { PlanError::Refused(reason) })
}

/// Reads both outputs to their ends, and waits for the child's: without threads, which might not be had.
fn read_to_end(child: &mut Child, until: Instant) -> io::Result<Said> {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let mut said = Said::default();
    while stdout.is_some() || stderr.is_some() {
        let fd = |stream: Option<RawFd>| libc::pollfd {
            fd: stream.unwrap_or(-1),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut polled =
            [fd(stdout.as_ref().map(AsRawFd::as_raw_fd)), fd(stderr.as_ref().map(AsRawFd::as_raw_fd))];
        poll(&mut polled, until)?;
        let [out, err] = polled;
        take(&mut stdout, out.revents != 0, &mut said.output)?;
        take(&mut stderr, err.revents != 0, &mut said.errors)?;
    }
    while child.try_wait()?.is_none() {
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(REAP_INTERVAL);
    }
    Ok(said)
}

fn poll(polled: &mut [libc::pollfd], until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now()).as_millis();
    let timeout = i32::try_from(left).unwrap_or(i32::MAX);
    // SAFETY: the array is ours and its length is stated; a negative descriptor is passed over.
    match unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout) } {
        0 => Err(io::ErrorKind::TimedOut.into()),
        n if n < 0 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

/// Takes what is there to be read; closes the stream at its end.
fn take<S: Read>(stream: &mut Option<S>, ready: bool, into: &mut Vec<u8>) -> io::Result<()> {
    let Some(open) = stream.as_mut().filter(|_| ready) else { return Ok(()) };
    let mut chunk = [0; CHUNK_BYTES];
    let count = open.read(&mut chunk);
    into.extend(chunk.iter().take(*count.as_ref().unwrap_or(&0)));
    match count {
        Ok(0) => *stream = None,
        Ok(_) if into.len() > PLAN_BYTES => {
            return Err(io::Error::other(format!("the planning child wrote more than {PLAN_BYTES} bytes")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wait_status: i32, errors: &str) -> PlanError {
        let said = Said { output: Vec::new(), errors: errors.into() };
        judge("file", ExitStatus::from_raw(wait_status), &said).expect_err("no plan")
    }

    #[test]
    fn how_a_child_ends_says_whether_it_is_the_file() {
        assert_eq!(of(1 << 8, "not Go\n"), PlanError::Refused("not Go".into()));
        assert_eq!(of(75 << 8, "memory\n"), PlanError::TryAgain("memory".into()));
        assert!(matches!(of(libc::SIGKILL, ""), PlanError::TryAgain(_)));
        assert!(matches!(of(libc::SIGBUS, ""), PlanError::Refused(text) if text.contains("SIGBUS")));
        assert!(matches!(of(libc::SIGXCPU, ""), PlanError::Refused(_)));
        // A warning is no reason.
        assert_eq!(of(1 << 8, "warning: x\nnot Go\n"), PlanError::Refused("not Go".into()));
    }

    #[test]
    fn both_outputs_are_read_without_threads() {
        let script = "head -c 300000 /dev/zero; echo oops >&2; exec >&- 2>&-; sleep 0.1";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh");
        let said = read_to_end(&mut child, Instant::now() + PATIENCE).expect("read");
        assert_eq!((said.output.len(), said.errors.as_slice()), (300_000, b"oops\n".as_slice()));
        let mut child = Command::new("sleep")
            .arg("60")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sleep");
        let error =
            read_to_end(&mut child, Instant::now() + Duration::from_millis(50)).expect_err("too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        child.kill().and_then(|()| child.wait()).expect("killed");
    }
}
