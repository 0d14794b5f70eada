//! PID namespaces, mount namespaces, overlays.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use strobe_tests::process::{PATIENCE, Running};

use super::harness::{Service, Stage, descendant, service_in, signal, text};

/// A PID namespace with a /proc of its own, gone with the command that made it.
const NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// The words that start a command in the namespaces of `pid`.
fn inside(pid: &str) -> Vec<&str> {
    vec!["nsenter", "--target", pid, "--pid", "--mount"]
}

/// Ends an agent that a wrapper has started, which passes no signal on, and waits for both.
fn end(agent: &mut Running) -> Result<()> {
    signal(descendant(agent.pid(), "strobe")?, libc::SIGTERM)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "strobe ended with {status} after SIGTERM:\n{}", agent.output());
    Ok(())
}

/// The agent with the node's namespace, as on a host; services beside it, one namespace deeper, and two deeper.
#[test]
fn an_agent_in_the_initial_pid_namespace_traces_every_depth() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.trace_app()?;
    let twice = [NAMESPACE, NAMESPACE].concat();
    let services =
        [stage.service(&stage.app)?, service_in(&NAMESPACE, &stage.app)?, service_in(&twice, &stage.app)?];
    agent.expect_stderr("tracing pid ", 2)?;
    for service in &services {
        service.requests(10)?;
    }
    let got = stage.settle(&mut agent, 30)?;
    ensure!(services.iter().all(|service| got.get(&service.port()) == Some(&10)), "{got:?}");
    Ok(())
}

/// The agent in a namespace of its own, as in kind or k3d: services beside it and one deeper are traced under the numbers that
/// the agent knows them by; one outside cannot be seen.
#[test]
fn an_agent_in_a_nested_pid_namespace_traces_its_own_and_deeper_ones() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = Running::start(&mut stage.wrapped(&NAMESPACE, &["run", "--exe", text(&stage.app)?])?)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let pid = descendant(agent.pid(), "strobe")?.to_string();
    let deeper = [inside(&pid), NAMESPACE.to_vec()].concat();
    let outside = stage.service(&stage.app)?;
    let services = [service_in(&inside(&pid), &stage.app)?, service_in(&deeper, &stage.app)?];
    agent.expect_stderr("tracing pid ", 1)?;
    outside.requests(10)?;
    for service in &services {
        service.requests(10)?;
    }
    stage.collector.wait_for(20, PATIENCE);
    end(&mut agent)?;
    let got = stage.count(&agent, 20)?;
    ensure!(services.iter().all(|service| got.get(&service.port()) == Some(&10)), "{got:?}");
    Ok(())
}

/// The same for processes that were there before the agent: their numbers come from the kernel's list.
#[test]
fn a_nested_agent_finds_processes_that_run_already() -> Result<()> {
    let stage = Stage::new()?;
    let hold = Running::start(Command::new("unshare").args(&NAMESPACE[1..]).args(["sleep", "600"]))?;
    let pid = descendant(hold.pid(), "sleep")?.to_string();
    let deeper = [inside(&pid), NAMESPACE.to_vec()].concat();
    let services = [service_in(&inside(&pid), &stage.app)?, service_in(&deeper, &stage.app)?];
    let mut agent = Running::start(&mut stage.wrapped(&inside(&pid), &["run", "--exe", text(&stage.app)?])?)?;
    agent.expect_stderr("tracing pid ", 1)?;
    for service in &services {
        service.requests(10)?;
    }
    stage.collector.wait_for(20, PATIENCE);
    end(&mut agent)?;
    stage.count(&agent, 20)?;
    Ok(())
}

/// A kernel without BTF, made by hiding its file: in a namespace of its own the agent must say so, not see nothing.
#[test]
fn a_nested_agent_without_btf_refuses_loudly() -> Result<()> {
    let stage = Stage::new()?;
    let hide = "mount --bind /dev/null /sys/kernel/btf/vmlinux && exec \"$@\"";
    let wrapper = [["unshare", "--mount", "sh", "-c", hide, "sh"].as_slice(), &NAMESPACE].concat();
    let mut agent = Running::start(&mut stage.wrapped(&wrapper, &["run", "--exe", text(&stage.app)?])?)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.code() == Some(3), "status {status}: {}", agent.output());
    let said: Vec<String> =
        agent.stderr.all().into_iter().filter(|line| line.contains("PID namespace")).collect();
    ensure!(said.len() == 1 && said.iter().all(|line| line.contains("--pid=host")), "{}", agent.output());
    Ok(())
}

/// On the host nothing is missing without BTF but the filter.
#[test]
fn without_btf_the_host_is_traced_all_the_same() -> Result<()> {
    let stage = Stage::new()?;
    let hide = "mount --bind /dev/null /sys/kernel/btf/vmlinux && exec \"$@\"";
    let wrapper = ["unshare", "--mount", "sh", "-c", hide, "sh"];
    let mut agent = Running::start(&mut stage.wrapped(&wrapper, &["run", "--exe", text(&stage.app)?])?)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let service = stage.service(&stage.app)?;
    agent.expect_stderr("tracing pid ", 0)?;
    service.requests(10)?;
    stage.settle(&mut agent, 10)?;
    Ok(())
}

/// A service on an overlay of its own, of the one lower folder, mounted at the same place as the others' in their namespaces.
fn on_overlay(stage: &Stage, n: usize) -> Result<Service> {
    let layers = [stage.path("lower"), stage.path(&format!("upper{n}")), stage.path(&format!("work{n}"))];
    for layer in &layers {
        std::fs::create_dir_all(layer)?;
    }
    let [lower, upper, work] = &layers;
    let options = format!("lowerdir={},upperdir={},workdir={}", text(lower)?, text(upper)?, text(work)?);
    let mount =
        format!("mount -t overlay -o {options} overlay {} && exec \"$@\"", text(&stage.path("merged"))?);
    service_in(&["unshare", "--mount", "sh", "-c", &mount, "sh"], &stage.path("merged/httpserver"))
}

/// Three containers of one image: stat(2) shows three files, where the kernel has one. Each request is one span.
#[test]
fn three_overlay_mounts_of_one_file_have_one_set_of_probes() -> Result<()> {
    let stage = Stage::new()?;
    let lower = stage.path("lower");
    std::fs::create_dir_all(&lower)?;
    std::fs::create_dir_all(stage.path("merged"))?;
    strobe_tests::machine::copy_program(&stage.app, &lower.join("httpserver"))?;
    let exe = stage.path("merged/httpserver");
    let mut agent = Running::start(&mut stage.strobe(&["run", "--exe", text(&exe)?])?)?;
    // The path exists in containers alone: that is said once, and is no warning.
    agent.expect_stderr("not on this file system", 0)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let began = std::time::Instant::now();
    let first = on_overlay(&stage, 1)?;
    agent.expect_stderr("tracing pid ", 0)?;
    let before = probes(&agent)?;
    let services = [first, on_overlay(&stage, 2)?, on_overlay(&stage, 3)?];
    agent.expect_stderr("tracing pid ", 2)?;
    ensure!(before > 0 && probes(&agent)? == before, "more probes than {before}:\n{}", agent.output());
    for service in &services {
        service.requests(10)?;
    }
    // Neither another mount's process nor the look at all of them every ten seconds takes anybody's probes away.
    std::thread::sleep(std::time::Duration::from_secs(11).saturating_sub(began.elapsed()));
    for service in &services {
        service.requests(10)?;
    }
    let got = stage.settle(&mut agent, 60)?;
    let attached = agent.stderr.text().matches("probes attached").count();
    ensure!(attached == 1, "attached {attached} times:\n{}", agent.output());
    ensure!(services.iter().all(|service| got.get(&service.port()) == Some(&20)), "{got:?}");
    ensure!(!agent.stderr.text().contains("WARN"), "{}", agent.output());
    Ok(())
}

/// The agent's probes, however it attaches them: its perf events, and links of any kind.
fn probes(agent: &Running) -> Result<usize> {
    let mut probes = 0;
    for entry in std::fs::read_dir(format!("/proc/{}/fd", agent.pid()))? {
        // A descriptor may be closed while it is looked at.
        let link = std::fs::read_link(entry?.path()).unwrap_or_default();
        probes += usize::from(
            ["anon_inode:[perf_event]", "anon_inode:bpf_link"].iter().any(|kind| link == Path::new(kind)),
        );
    }
    Ok(probes)
}
