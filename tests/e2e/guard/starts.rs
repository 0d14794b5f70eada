//! Starts and execs at moments that count.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use strobe_tests::machine;
use strobe_tests::process::Running;

use super::stage::{Service, Stage};

#[test]
fn a_program_that_executes_itself_while_it_is_planned_and_is_overwritten_then_is_not_harmed() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    let mut command = Command::new(&stage.app);
    command.args(["-again", "5"]);
    let mut service = Service::started(command)?;
    service.traced_by(&agent)?;
    service.get("/")?;
    ensure!(stage.spans(1)? == 1, "one request, one span:\n{}", agent.output());
    service.kill()?;
    stage.overwrite_and_serve(&stage.app)
}

#[test]
fn programs_that_start_while_the_agent_does_are_each_traced_once_and_leave_nothing_behind() -> Result<()> {
    let stage = Stage::new()?;
    let mut services = Vec::new();
    let mut agent = None;
    for n in 0..20 {
        services.push(Service::start(&stage.app)?);
        if n == 2 {
            agent = Some(stage.agent(&[&stage.app])?);
        }
    }
    let Some(agent) = agent else { anyhow::bail!("no agent") };
    for service in &services {
        service.traced_by(&agent)?;
        service.get("/")?;
    }
    let spans = stage.spans(services.len())?;
    ensure!(spans == services.len(), "{spans} spans:\n{}", agent.output());
    for service in &mut services {
        service.kill()?;
    }
    stage.overwrite_and_serve(&stage.app)
}

#[test]
fn a_plan_for_a_process_that_meanwhile_runs_another_file_is_not_used() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    let other = stage.another("other")?;
    let mut command = Command::new(&stage.app);
    command.arg("-then").arg(&other);
    let mut service = Service::started(command)?;
    // Long enough for the Plan of the file that nobody runs any more.
    std::thread::sleep(Duration::from_secs(3));
    service.get("/")?;
    ensure!(stage.spans(0)? == 0, "the other file is not wanted:\n{}", agent.output());
    stage.overwrite_and_serve(&stage.app)?;
    service.get("/")?;
    service.kill()
}

#[test]
fn exec_of_another_wanted_file_moves_the_process() -> Result<()> {
    let stage = Stage::new()?;
    let other = stage.another("other")?;
    let agent = stage.agent(&[&stage.app, &other])?;
    agent.expect_stderr("waiting for a process", 0)?;
    let service = Service::start(&stage.app)?;
    service.traced_by(&agent)?;
    service.get("/")?;
    // The request that becomes the other program has no answer.
    let _ = service.get(&format!("/become?file={}", other.display()));
    let line = service.running.expect_stdout("listening on", 1)?;
    agent.expect_stderr(&strobe_tests::agent::tracing(service.running.pid()), 1)?;
    let address = line.rsplit(' ').next().unwrap_or_default().parse()?;
    let mut service = Service { running: service.running, address };
    service.get("/")?;
    ensure!(stage.spans(2)? == 2, "one request in each program:\n{}", agent.output());
    // Nobody runs the first file any more.
    stage.overwrite_and_serve(&stage.app)?;
    service.kill()?;
    stage.overwrite_and_serve(&other)
}

/// More programs of a wanted name start than the ring of events holds, while nobody reads it.
#[test]
fn lost_exec_events_cause_a_new_look_at_all_processes() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    let folder = stage.folder.path().join("elsewhere");
    std::fs::create_dir(&folder)?;
    let same_name = folder.join("again");
    machine::copy_program(std::path::Path::new("/bin/true"), &same_name)?;
    agent.signal(libc::SIGSTOP)?;
    let script = "i=0; while [ $i -lt 6000 ]; do \"$0\"; i=$((i+1)); done";
    let mut many = Running::start(Command::new("sh").args(["-c", script]).arg(&same_name))?;
    many.wait(Duration::from_secs(120))?;
    let mut service = Service::start(&stage.app)?;
    agent.signal(libc::SIGCONT)?;
    service.traced_by(&agent)?;
    agent.expect_stderr("programs started unseen", 0)?;
    service.get("/")?;
    ensure!(stage.spans(1)? == 1, "{}", agent.output());
    service.kill()
}
