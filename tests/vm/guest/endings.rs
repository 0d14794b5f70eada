//! How what a case has started is brought to its end.

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::http_client::carried::shown;
use strobe_tests::process::Running;

use crate::bench::PATIENCE;

/// Tells the agent to leave, and waits until it has. What it said.
pub fn left(agent: &mut Running) -> Result<String> {
    agent.signal(libc::SIGTERM)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "strobe ended with {status} after SIGTERM:\n{}", agent.output());
    Ok(agent.output())
}

/// The same, and it has counted no loss.
pub fn left_without_loss(agent: &mut Running) -> Result<String> {
    let log = left(agent)?;
    let lost = losses(agent);
    ensure!(lost.is_empty(), "lost {lost:?}:\n{}", shown(&log));
    Ok(log)
}

/// Tells a program to end, and waits until it has, as it should.
pub fn ended(program: &mut Running) -> Result<()> {
    program.signal(libc::SIGTERM)?;
    let status = program.wait(PATIENCE)?;
    ensure!(status.success(), "the program ended with {status}:\n{}", program.output());
    Ok(())
}
