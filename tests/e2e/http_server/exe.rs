//! `strobe run --exe`: the agent waits for processes of a file, follows them through restarts, and notices when the file
//! becomes another program.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::golang::{self, Build, go};
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::spans::Expected;

use super::drive::drive;
use super::harness::{Bench, Service, pids, tracing};
use super::kinds;

/// Starts the service under a waiting agent, sends every kind once, and stops it.
fn one_life(bench: &Bench, agent: &Running, minor: u32) -> Result<Vec<Expected>> {
    let mut service = bench.service()?;
    traced(agent, &service)?;
    let due = drive(service.http, kinds::all(minor, 0), 4)?;
    service.stop()?;
    Ok(due)
}

fn traced(agent: &Running, service: &Service) -> Result<()> {
    agent.expect_stderr(&tracing(service.running.pid()), 0)?;
    Ok(())
}

/// The agent is first; the service lives twice, and then two of it at once.
pub fn across_restarts(version: &'static str) -> Result<()> {
    let bench = Bench::new(version, Build::Stripped)?;
    let mut agent = bench.trace_exe()?;
    let mut due = one_life(&bench, &agent, bench.minor())?;
    due.extend(one_life(&bench, &agent, bench.minor()).context("the second life")?);
    let (mut a, mut b) = (bench.service()?, bench.service()?);
    traced(&agent, &a)?;
    traced(&agent, &b)?;
    for service in [&a, &b] {
        due.extend(drive(service.http, kinds::all(bench.minor(), 1), 2)?);
    }
    a.stop()?;
    b.stop()?;
    let got = bench.settle(&mut agent, &due).context("run --exe")?;
    ensure!(pids(&got).len() == 4, "spans of the processes {:?}", pids(&got));
    Ok(())
}

/// Overwriting a probed file in place used to kill the new program: the kernel writes the old breakpoints into it.
#[test]
fn a_file_overwritten_in_place() -> Result<()> {
    let bench = Bench::new(go(25), Build::Stripped)?;
    let mut agent = bench.trace_exe()?;
    let due = one_life(&bench, &agent, bench.minor())?;
    bench.collector.wait_for(due.len(), Duration::from_secs(15));
    bench.compare(&agent, &due).context("before")?;

    let now = Bench { version: go(22), ..bench };
    // In place: the inode stays.
    machine::copy_program(&golang::build("httpserver", now.version, Build::Plain)?, &now.app)?;
    let mut due = one_life(&now, &agent, now.minor()).context("after the overwrite")?;
    due.extend(one_life(&now, &agent, now.minor()).context("and once more")?);
    now.settle(&mut agent, &due).context("after the overwrite")?;
    Ok(())
}

/// A deployment usually puts a new file in the old one's place.
#[test]
fn a_file_replaced_by_another() -> Result<()> {
    let bench = Bench::new(go(21), Build::Stripped)?;
    let mut agent = bench.trace_exe()?;
    let mut old = bench.service()?;
    traced(&agent, &old)?;
    let due = drive(old.http, kinds::all(bench.minor(), 0), 4)?;
    bench.collector.wait_for(due.len(), Duration::from_secs(15));
    bench.compare(&agent, &due).context("before")?;

    let now = Bench { version: go(27), ..bench };
    let staged = now.folder.path().join("staged");
    machine::copy_program(&golang::build("httpserver", now.version, Build::Stripped)?, &staged)?;
    std::fs::rename(&staged, &now.app)?;
    let due = one_life(&now, &agent, now.minor()).context("after the replacement")?;
    old.stop()?;
    now.settle(&mut agent, &due).context("after the replacement")?;
    Ok(())
}
