//! Too few descriptors, too few processes, too few rights: what passes is tried again, what does not is said, and nothing is
//! held that is not used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use strobe_tests::machine;
use strobe_tests::process::{PATIENCE, Running};

use super::harness::{Service, Stage, text};

/// More processes than the agent has descriptors for; when the others have ended, one that had none is traced.
#[test]
fn too_many_open_files_passes() -> Result<()> {
    let stage = Stage::new()?;
    // Its programs and maps take 100 of them, once it traces something, and each process one more.
    let wrapper = ["prlimit", "--nofile=125:125"];
    let mut agent = Running::start(&mut stage.wrapped(&wrapper, &["run", "--exe", text(&stage.app)?])?)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let mut services = Vec::new();
    for _ in 0..60 {
        services.push(stage.service(&stage.app)?);
    }
    agent.expect_stderr("it will be tried again", 0)?;
    let traced = |service: &Service| format!("tracing pid {} ", service.running.pid());
    let is_traced = |service: &Service| agent.stderr.text().contains(&traced(service));
    // Which of them are without depends on how far the agent had come when each was started.
    let mut before = None;
    let waits = loop {
        let waiting: Vec<usize> = (0..services.len()).filter(|nth| !is_traced(&services[*nth])).collect();
        if before.as_ref() == Some(&waiting) {
            break waiting;
        }
        before = Some(waiting);
        std::thread::sleep(Duration::from_secs(1));
    };
    let nth = waits.last().with_context(|| format!("125 descriptors were enough:\n{}", agent.output()))?;
    let last = services.swap_remove(*nth);
    drop(services);
    agent.expect_stderr(&traced(&last), 0)?;
    last.requests(10)?;
    stage.settle(&mut agent, 10)?;
    Ok(())
}

/// A cgroup with a limit of processes, gone with the test.
struct Pids(PathBuf);

impl Pids {
    fn with(pid: u32) -> Result<Self> {
        let name = format!("strobe-test-{}", std::process::id());
        let found = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(|root| Path::new(root).join(&name));
        for folder in found {
            // Version 1 has a hierarchy for each controller, version 2 one for all.
            let made = fs::create_dir(&folder).is_ok();
            if made && folder.join("pids.max").exists() {
                fs::write(folder.join("cgroup.procs"), pid.to_string()).context("entering the cgroup")?;
                return Ok(Self(folder));
            }
            if made {
                fs::remove_dir(&folder)?;
            }
        }
        anyhow::bail!("no pids cgroup can be made under /sys/fs/cgroup: this test needs one")
    }

    fn limit(&self, max: &str) -> Result<()> {
        fs::write(self.0.join("pids.max"), max).with_context(|| format!("limiting to {max} processes"))
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        // Its processes are children of the test that end with it; one that is still there keeps it, which harms nobody.
        let _ = fs::remove_dir(&self.0);
    }
}

/// No thread and no process can be made when the service starts; later they can, and then it is traced.
#[test]
fn a_limit_of_processes_passes() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.trace_app()?;
    let pids = Pids::with(agent.pid())?;
    pids.limit("1")?;
    let service = stage.service(&stage.app)?;
    agent.expect_stderr("tried again", 0)?;
    pids.limit("max")?;
    agent.expect_stderr("tracing pid ", 0)?;
    service.requests(10)?;
    stage.settle(&mut agent, 10)?;
    Ok(())
}

/// A program that anybody may execute and only its owner read.
#[test]
fn a_binary_that_may_not_be_read_names_the_capability() -> Result<()> {
    let stage = Stage::new()?;
    fs::set_permissions(&stage.app, fs::Permissions::from_mode(0o711))?;
    std::os::unix::fs::chown(&stage.app, Some(65534), Some(65534))?;
    let service = stage.service(&stage.app)?;
    let pid = service.running.pid().to_string();
    let wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
    let mut agent = Running::start(&mut stage.wrapped(&wrapper, &["run", "--pid", &pid])?)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.code() == Some(3), "{status}: {}", agent.output());
    ensure!(agent.stderr.text().contains("CAP_DAC_READ_SEARCH"), "{}", agent.output());
    let app = text(&stage.app)?;
    let mut strict = Running::start(&mut stage.wrapped(&wrapper, &["exec", "--strict", "--", app])?)?;
    let status = strict.wait(PATIENCE)?;
    ensure!(status.code() == Some(125), "{status}: {}", strict.output());
    ensure!(strict.stderr.text().contains("CAP_DAC_READ_SEARCH"), "{}", strict.output());
    // Each look at all processes comes by it, and there is one every ten seconds.
    let agent = Running::start(&mut stage.wrapped(&wrapper, &["run", "--exe", app])?)?;
    agent.expect_stderr("CAP_DAC_READ_SEARCH", 0)?;
    std::thread::sleep(Duration::from_secs(11));
    let said = agent.stderr.text().matches("CAP_DAC_READ_SEARCH").count();
    ensure!(said == 1, "said {said} times:\n{}", agent.output());
    Ok(())
}

/// The kernel's own threads have process ids, too.
#[test]
fn a_thread_of_the_kernel_is_called_one() -> Result<()> {
    let stage = Stage::new()?;
    // kthreadd, in the initial PID namespace, where this test's agent is.
    let mut agent = Running::start(&mut stage.strobe(&["run", "--pid", "2"])?)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.code() == Some(1), "{status}: {}", agent.output());
    agent.expect_stderr("process 2 is a thread of the kernel's own", 0)?;
    Ok(())
}

/// A limit that is too low to begin with is named, and not taken for the kernel's refusal.
#[test]
fn a_limit_of_descriptors_that_is_too_low_is_named() -> Result<()> {
    let stage = Stage::new()?;
    let app = text(&stage.app)?;
    let wrapper = ["prlimit", "--nofile=20:20"];
    let mut agent = Running::start(&mut stage.wrapped(&wrapper, &["run", "--exe", app])?)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.code() == Some(1), "{status}: {}", agent.output());
    agent.expect_stderr("strobe may have 20 files open (RLIMIT_NOFILE", 0)?;
    ensure!(!agent.stderr.text().contains("kernel refuses"), "{}", agent.output());
    Ok(())
}

/// As Kubernetes has it with `drop: [ALL]` and some added: uid 0 that may not change its user or its groups.
#[test]
fn uid_0_without_setuid_and_setgid_plans_with_a_warning() -> Result<()> {
    let stage = Stage::new()?;
    let wrapper = ["setpriv", "--bounding-set=-setuid,-setgid,-setpcap,-chown,-fowner,-kill", "--"];
    let mut agent = Running::start(&mut stage.wrapped(&wrapper, &["run", "--exe", text(&stage.app)?])?)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let service = stage.service(&stage.app)?;
    agent.expect_stderr("CAP_SETUID is missing", 0)?;
    agent.expect_stderr("tracing pid ", 0)?;
    service.requests(10)?;
    stage.settle(&mut agent, 10)?;
    Ok(())
}

/// A refused file is closed: its file system can be unmounted.
#[test]
fn a_refused_file_is_not_kept_open() -> Result<()> {
    let stage = Stage::new()?;
    let place = stage.path("mounted");
    fs::create_dir(&place)?;
    machine::run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&place))?;
    let tried = refused_on(&stage, &place);
    // Agents of the tests beside this one look at each process that starts, this one's too, and have its executable open for that
    // long: a file system is busy for a moment. What the agent keeps, it would keep for as long as it runs.
    let deadline = Instant::now() + Duration::from_secs(5);
    let unmounted = loop {
        let unmounted = machine::run(Command::new("umount").arg(&place));
        if unmounted.is_ok() || Instant::now() > deadline {
            break unmounted;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    // Whatever came of it, nothing stays mounted.
    if unmounted.is_err() {
        machine::run(Command::new("umount").arg("--lazy").arg(&place))?;
    }
    let agent = tried?;
    unmounted.with_context(|| format!("the agent keeps it:\n{}", agent.output()))?;
    Ok(())
}

fn refused_on(stage: &Stage, place: &Path) -> Result<Running> {
    let program = place.join("sleep");
    machine::copy_program(Path::new("/bin/sleep"), &program)?;
    let agent = Running::start(&mut stage.strobe(&["run", "--exe", text(&program)?])?)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let process = Running::start(Command::new(&program).arg("600"))?;
    agent.expect_stderr("not traced", 0)?;
    drop(process);
    Ok(agent)
}

/// A burst of starts: none of them keeps the agent from the one that stays.
#[test]
fn five_hundred_starts_at_once() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.trace_app()?;
    let script = "for i in $(seq 500); do \"$1\" -now >/dev/null & done; wait";
    let mut burst = Running::start(Command::new("sh").args(["-c", script, "sh", text(&stage.app)?]))?;
    let service = stage.service(&stage.app)?;
    agent.expect_stderr(&format!("tracing pid {} ", service.running.pid()), 0)?;
    service.requests(10)?;
    ensure!(burst.wait(Duration::from_secs(120))?.success(), "{}", burst.output());
    stage.settle(&mut agent, 10)?;
    Ok(())
}

/// A busy host: programs start by the hundred in a second, and the agent, which looks for one of them, does nothing for the
/// others. A machine that is too busy for that rate shows fewer, and what each costs all the same: 1 % of a core is 12 µs.
#[test]
fn fifty_thousand_execs_a_minute_cost_under_one_percent_of_a_core() -> Result<()> {
    const LENGTH: Duration = Duration::from_secs(6);
    const EXECS_PER_SECOND: u32 = 50_000 / 60;
    let stage = Stage::new()?;
    let mut agent = stage.trace_app()?;
    let service: Service = stage.service(&stage.app)?;
    agent.expect_stderr("tracing pid ", 0)?;
    let begin = run_time(agent.pid())?;
    std::thread::sleep(LENGTH);
    let (busy, start) = (run_time(agent.pid())?, Instant::now());
    let idle = busy - begin;
    let mut execs = 0;
    while start.elapsed() < LENGTH {
        ensure!(Command::new("/bin/true").status()?.success());
        execs += 1;
        std::thread::sleep(
            (Duration::from_secs(1) / EXECS_PER_SECOND * execs).saturating_sub(start.elapsed()),
        );
    }
    let length = start.elapsed();
    let used = run_time(agent.pid())? - busy;
    let each = used.saturating_sub(idle) / execs;
    println!("{execs} execs in {length:?}: the agent ran {used:?}, {idle:?} without them: {each:?} each");
    ensure!(
        each < Duration::from_micros(12),
        "{execs} execs in {length:?} cost {used:?}, {idle:?} without them"
    );
    service.requests(10)?;
    stage.settle(&mut agent, 10)?;
    Ok(())
}

/// How long a process's threads have run.
fn run_time(pid: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while it is looked at.
        let text = fs::read_to_string(entry?.path().join("schedstat")).unwrap_or_default();
        let ns = text.split_whitespace().next().and_then(|ns| ns.parse().ok());
        total += Duration::from_nanos(ns.unwrap_or(0));
    }
    Ok(total)
}
