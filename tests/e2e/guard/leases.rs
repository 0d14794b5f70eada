//! Leases: whoever wants to write to a file with probes waits until they are gone, and no longer, whatever becomes of the agent.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::stage::{Service, Stage};

/// Starts and ends the service twice, so that its probes stay for a while; they are there when this returns.
fn crash_twice(stage: &Stage, agent: &strobe_tests::process::Running) -> Result<()> {
    for _ in 0..2 {
        let mut service = Service::start(&stage.app)?;
        service.traced_by(agent)?;
        service.kill()?;
        agent.expect_stderr(&format!("pid {} is not traced any more", service.running.pid()), 0)?;
    }
    Ok(())
}

#[test]
fn a_writer_waits_for_the_probes_that_linger_and_the_new_program_is_not_harmed() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    crash_twice(&stage, &agent)?;
    stage.overwrite_and_serve(&stage.app)?;
    agent.expect_stderr("somebody wants to write to it", 0)?;
    Ok(())
}

#[test]
fn a_writer_that_does_not_wait_gets_eagain_while_the_probes_linger() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    crash_twice(&stage, &agent)?;
    let mut impatient = OpenOptions::new();
    impatient.write(true).custom_flags(libc::O_NONBLOCK);
    let error = impatient.open(&stage.app).err().context("there was no lease")?;
    ensure!(error.kind() == ErrorKind::WouldBlock, "{error}");
    // Its question alone makes the probes go.
    let began = Instant::now();
    while impatient.open(&stage.app).is_err() {
        ensure!(began.elapsed() < Duration::from_secs(3), "the lease stays");
        std::thread::sleep(Duration::from_millis(20));
    }
    stage.overwrite_and_serve(&stage.app)
}

#[test]
fn a_writer_gets_through_while_the_agent_is_stopped_and_the_new_program_is_not_harmed() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    let mut service = Service::start(&stage.app)?;
    service.traced_by(&agent)?;
    agent.signal(libc::SIGSTOP)?;
    service.kill()?;
    stage.overwrite_and_serve(&stage.app)?;
    // Later, when guard has long been silent, all probes are gone anyway.
    std::thread::sleep(Duration::from_secs(2));
    stage.overwrite_and_serve(&stage.app)?;
    agent.signal(libc::SIGCONT)?;
    let mut service = Service::start(&stage.app)?;
    service.traced_by(&agent)?;
    service.get("/")?;
    ensure!(stage.spans(1)? == 1, "{}", agent.output());
    service.kill()
}
