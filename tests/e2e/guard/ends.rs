//! Ends: of services, of the agent, of the keeper.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::process::Running;

use super::stage::{Service, Stage};

#[test]
fn six_files_that_end_together_do_not_hold_up_the_spans_of_a_seventh() -> Result<()> {
    let stage = Stage::new()?;
    let names: Vec<_> = (0..6).map(|n| stage.another(&format!("ending{n}"))).collect::<Result<_>>()?;
    let mut files: Vec<_> = names.iter().map(std::path::PathBuf::as_path).collect();
    files.push(&stage.app);
    let agent = stage.agent(&files)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let mut services: Vec<Service> = names.iter().map(|name| Service::start(name)).collect::<Result<_>>()?;
    let mut seventh = Service::start(&stage.app)?;
    for service in services.iter().chain([&seventh]) {
        service.traced_by(&agent)?;
    }
    for service in &services {
        service.running.signal(libc::SIGKILL)?;
    }
    let began = Instant::now();
    for _ in 0..100 {
        seventh.get("/")?;
    }
    let came = stage.collector.wait_for(100, Duration::from_millis(1500));
    ensure!(came == 100, "{came} of 100 spans {:?} later:\n{}", began.elapsed(), agent.output());
    for service in &mut services {
        service.kill()?;
    }
    seventh.kill()?;
    names.iter().try_for_each(|name| stage.overwrite_and_serve(name))
}

#[test]
fn the_agent_killed_leaves_no_probes_behind() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    let mut service = Service::start(&stage.app)?;
    service.traced_by(&agent)?;
    agent.signal(libc::SIGKILL)?;
    service.get("/")?;
    service.kill()?;
    stage.overwrite_and_serve(&stage.app)
}

#[test]
fn a_killed_keeper_is_replaced_and_tracing_goes_on() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    let mut service = Service::start(&stage.app)?;
    service.traced_by(&agent)?;
    signal_keeper(&agent, "-KILL")?;
    agent.expect_stderr("the keeper of the probes has ended", 0)?;
    agent.expect_stderr("probes attached", 1)?;
    std::thread::sleep(Duration::from_millis(500));
    service.get("/")?;
    ensure!(stage.spans(1)? == 1, "{}", agent.output());
    service.kill()?;
    stage.overwrite_and_serve(&stage.app)
}

/// The kernel closes what a killed process held, one probe after the other: what begins spans goes first, so that none begins
/// whose end nobody sees.
#[test]
fn a_keeper_that_is_killed_under_load_loses_no_request() -> Result<()> {
    const REQUESTS: usize = 3_000;
    let stage = Stage::new()?;
    let mut agent = stage.waiting_agent()?;
    let mut service = Service::start(&stage.app)?;
    service.traced_by(&agent)?;
    for nth in 0..REQUESTS {
        if nth == REQUESTS / 10 {
            signal_keeper(&agent, "-KILL")?;
        }
        service.get("/")?;
    }
    agent.expect_stderr("probes attached", 1)?;
    service.kill()?;
    agent.terminate()?;
    let lost = losses(&agent);
    ensure!(lost.is_empty(), "{lost:#?}");
    // Without the keeper's probes there are no spans, and that is what the agent has said.
    let came = stage.spans(REQUESTS / 10)?;
    ensure!(came >= REQUESTS / 10, "{came} spans:\n{}", agent.output());
    Ok(())
}

/// A keeper that stands still holds lease and probes: guard ends it long before the kernel overrules the lease (45 s).
#[test]
fn a_stopped_keeper_does_not_harm_the_next_program() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    let mut service = Service::start(&stage.app)?;
    service.traced_by(&agent)?;
    signal_keeper(&agent, "-STOP")?;
    service.kill()?;
    stage.overwrite_and_serve(&stage.app)?;
    agent.expect_stderr("the keeper of the probes does not answer", 0)?;
    let mut service = Service::start(&stage.app)?;
    service.traced_by(&agent)?;
    // Those of the program before, if the next keeper was there before it ended.
    stage.spans(0)?;
    service.get("/")?;
    let spans = stage.spans(1)?;
    ensure!(spans == 1, "{spans} spans: {}", agent.output());
    service.kill()
}

fn signal_keeper(agent: &Running, signal: &str) -> Result<()> {
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", agent.pid()))?;
    let keeper = children.split_whitespace().next().context("the agent has no child")?.to_owned();
    let status = std::process::Command::new("kill").args([signal, &keeper]).status()?;
    ensure!(status.success(), "kill {signal} {keeper}");
    Ok(())
}
