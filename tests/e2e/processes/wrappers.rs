//! `strobe exec` with commands that start the service as their child.

use std::time::Duration;

use anyhow::{Result, ensure};
use strobe_tests::process::PATIENCE;

use super::harness::{Service, Stage, process_of, signal, text};

/// The shell forks, since the service is not the last command: as dumb-init and tini do.
#[test]
fn a_child_of_the_command_is_traced() -> Result<()> {
    traced_below("\"$1\"; exit $?")
}

#[test]
fn a_grandchild_of_the_command_is_traced() -> Result<()> {
    traced_below("(:; \"$1\"; exit $?); exit $?")
}

/// Its parent has ended before it, as of a service that makes itself a daemon.
#[test]
fn an_orphan_of_the_command_is_traced() -> Result<()> {
    traced_below("(\"$1\" &); while [ ! -e \"$1.done\" ]; do sleep 0.05; done")
}

fn traced_below(script: &str) -> Result<()> {
    let stage = Stage::new()?;
    let app = text(&stage.app)?;
    let mut command = stage.strobe(&["exec", "--", "sh", "-c", script, "sh", app])?;
    let mut service = Service::start(&mut command)?;
    service.running.expect_stderr("tracing pid ", 0)?;
    service.requests(10)?;
    stage.collector.wait_for(10, Duration::from_secs(15));
    signal(process_of(&stage.app)?, libc::SIGTERM)?;
    std::fs::write(stage.path("httpserver.done"), "")?;
    let status = service.running.wait(PATIENCE)?;
    ensure!(status.success(), "{status}: {}", service.running.output());
    stage.count(&service.running, 10)?;
    Ok(())
}
