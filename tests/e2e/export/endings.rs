//! How the agent ends while the collector is away, and goes on while nobody reads its log.

use std::fs::File;
use std::io::{PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use strobe_tests::collector::Collector;
use strobe_tests::process::PATIENCE;

use super::ports::Port;
use super::stage::{self, Stage};

/// The good-bye of an agent whose collector has been away all the time.
#[test]
fn stopping_without_a_collector_is_short_and_says_what_it_waits_for() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let endpoint = format!("127.0.0.1:{}", stage::closed_port()?);
    let mut agent = stage::traced(&service, &endpoint, &[])?;
    stage::request(service.http, "/", 3)?;
    agent.expect_stderr("nobody listens there", 0)?;
    let took = stage::end(&mut agent)?;
    ensure!(took < Duration::from_secs(6), "stopping took {took:?}:\n{}", agent.output());
    let text = agent.stderr.text();
    ensure!(text.contains("waiting up to 2 s for http://") && text.contains("the last 3 spans"), "{text}");
    ensure!(text.contains("3 dropped: not sent at the end"), "{text}");
    Ok(())
}

#[test]
fn a_second_signal_ends_the_waiting_for_a_silent_collector() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let mut agent = stage::traced(&service, &Port::Silent.open()?, &[])?;
    stage::request(service.http, "/", 1)?;
    std::thread::sleep(Duration::from_millis(500));
    agent.signal(libc::SIGTERM)?;
    agent.expect_stderr("a second signal ends that at once", 0)?;
    let begin = Instant::now();
    agent.signal(libc::SIGINT)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(begin.elapsed() < Duration::from_secs(5), "{:?}:\n{}", begin.elapsed(), agent.output());
    ensure!(status.success(), "{status}");
    Ok(())
}

/// A pipe that is full before the agent writes its first line.
#[test]
fn a_stderr_that_nobody_reads_holds_nothing_up() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let collector = Collector::start()?;
    let (reader, writer) = std::io::pipe().context("a pipe")?;
    fill(writer.try_clone()?)?;
    let variables = [("OTEL_LOG_LEVEL", "trace"), ("OTEL_TRACES_EXPORTER", "otlp")];
    let mut command = stage::agent(service.running.pid(), &collector.endpoint(), &variables)?;
    let mut agent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn()?;
    drop(command);
    let end = Instant::now() + PATIENCE;
    while collector.wait_for(1, Duration::from_millis(200)) == 0 {
        ensure!(Instant::now() < end, "no span came while nobody read the agent's log");
        stage::request(service.http, "/", 1)?;
    }
    let pid = libc::pid_t::try_from(agent.id())?;
    // SAFETY: kill takes two integers; the child has not been waited for.
    ensure!(unsafe { libc::kill(pid, libc::SIGTERM) } == 0, "kill");
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = agent.try_wait()? {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            agent.kill()?;
            agent.wait()?;
            anyhow::bail!("the agent did not end while nobody read its log");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    ensure!(status.success(), "{status}");
    drop(reader);
    Ok(())
}

fn fill(writer: PipeWriter) -> Result<()> {
    set_nonblocking(&writer, true)?;
    let mut pipe = File::from(writer.as_fd().try_clone_to_owned()?);
    let page = [b'.'; 4096];
    while pipe.write(&page).is_ok() {}
    // The file description is shared with the agent, which expects a stderr that waits.
    set_nonblocking(&writer, false)
}

/// Sets or clears O_NONBLOCK.
fn set_nonblocking(fd: &impl AsRawFd, on: bool) -> Result<()> {
    let fd = fd.as_raw_fd();
    // SAFETY: fcntl with these commands takes and returns integers; the descriptor is open for the call.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    let flags = if on { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: as above.
    ensure!(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) } == 0, "fcntl");
    Ok(())
}
