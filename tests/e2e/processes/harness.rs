//! Services in namespaces, behind links and on overlays; the agent beside them; and how many spans each of them gave.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use strobe_tests::agent::{losses, strobe};
use strobe_tests::client::Connection;
use strobe_tests::collector::Collector;
use strobe_tests::golang::{self, Build, go};
use strobe_tests::process::{PATIENCE, Running};
use strobe_tests::{machine, programs};

/// Any version that the agent traces: what is tested here does not depend on it.
const VERSION: &str = go(26);
/// How long spans may take to come.
const SPANS: Duration = Duration::from_secs(15);

/// A folder with a copy of the service, and a collector.
#[derive(Debug)]
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub app: PathBuf,
    pub collector: Collector,
}

impl Stage {
    pub fn new() -> Result<Self> {
        machine::require_probes()?;
        programs::path("strobe")?;
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let app = folder.path().join("httpserver");
        machine::copy_program(&golang::build("httpserver", VERSION, Build::Stripped)?, &app)?;
        Ok(Stage { folder, app, collector: Collector::start()? })
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What makes a `strobe` export to the collector, as arguments of env(1).
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.endpoint()),
            ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ]
    }

    /// `strobe` with these arguments, exporting to the collector.
    pub fn strobe(&self, args: &[&str]) -> Result<Command> {
        let mut command = strobe(args)?;
        command.envs(self.environment());
        Ok(command)
    }

    /// `strobe` with these arguments, started by WRAPPER with its own.
    pub fn wrapped(&self, wrapper: &[&str], args: &[&str]) -> Result<Command> {
        let inner = strobe(args)?;
        let (program, arguments) = wrapper.split_first().context("a wrapper")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.envs(self.environment());
        Ok(command)
    }

    /// Starts `strobe run --exe APP` and waits until it is ready.
    pub fn trace_app(&self) -> Result<Running> {
        let agent = Running::start(&mut self.strobe(&["run", "--exe", text(&self.app)?])?)?;
        agent.expect_stderr("waiting for a process", 0)?;
        Ok(agent)
    }

    /// Starts the service from this path.
    pub fn service(&self, path: &Path) -> Result<Service> {
        Service::start(&mut Command::new(path))
    }

    /// Waits for the spans, ends the agent so that late or doubled ones come too; the spans by service.
    pub fn settle(&self, agent: &mut Running, count: usize) -> Result<BTreeMap<String, usize>> {
        self.collector.wait_for(count, SPANS);
        let status = agent.terminate()?;
        ensure!(status.success(), "strobe ended with {status} after SIGTERM:\n{}", agent.output());
        self.count(agent, count)
    }

    /// The spans that have come, by the port of the service that gave them; there must be so many in all, and none lost.
    pub fn count(&self, agent: &Running, count: usize) -> Result<BTreeMap<String, usize>> {
        let got = self.collector.take()?;
        let mut by_port = BTreeMap::new();
        for received in &got {
            let port = received.attributes.get("server.port").map(ToString::to_string).unwrap_or_default();
            *by_port.entry(port).or_insert(0) += 1;
        }
        ensure!(
            got.len() == count,
            "{} spans in place of {count}: {by_port:?}\n{}",
            got.len(),
            agent.output()
        );
        ensure!(losses(agent).is_empty(), "losses: {:?}\n{}", losses(agent), agent.output());
        Ok(by_port)
    }
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    pub running: Running,
    pub http: SocketAddr,
}

impl Service {
    /// Starts it by a command that ends in its path; it listens on a port of its own.
    pub fn start(command: &mut Command) -> Result<Self> {
        let running = Running::start(command.env("OTEL_SERVICE_NAME", "under test"))?;
        let line = running.expect_stdout("listening on http://", 0)?;
        let http = line.rsplit('/').next().unwrap_or_default().parse().context("the service's address")?;
        Ok(Service { running, http })
    }

    /// Sends requests over one connection.
    pub fn requests(&self, count: usize) -> Result<()> {
        let mut connection = Connection::open(self.http)?;
        for _ in 0..count {
            connection.send(format!("GET /plain HTTP/1.1\r\nHost: {}\r\n\r\n", self.http).as_bytes())?;
            let answer = connection.receive(false)?.context("the service closed the connection")?;
            ensure!(answer.status == 200, "status {}", answer.status);
        }
        Ok(())
    }

    /// The key under which [`Stage::count`] counts it.
    pub fn port(&self) -> String {
        self.http.port().to_string()
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not text", path.display()))
}

/// The process that a wrapper such as unshare(1) has made, once it executes `name`.
pub fn descendant(pid: u32, name: &str) -> Result<u32> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let mut pids = vec![pid];
        while let Some(pid) = pids.pop() {
            // A process may end while it is looked at.
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if comm.trim_end() == name {
                return Ok(pid);
            }
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("process {pid} never had a descendant called {name}")
}

/// A process that runs this file.
pub fn process_of(exe: &Path) -> Result<u32> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        // A process may end while it is looked at; most have another executable.
        if fs::read_link(entry.path().join("exe")).is_ok_and(|link| link == exe)
            && let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
        {
            return Ok(pid);
        }
    }
    bail!("no process runs {}", exe.display())
}

/// Sends a signal to a process that a test's own child has made.
pub fn signal(pid: u32, signal: i32) -> Result<()> {
    let pid = libc::pid_t::try_from(pid).context("process id")?;
    // SAFETY: kill takes two integers.
    ensure!(unsafe { libc::kill(pid, signal) } == 0, "kill {pid}: {}", std::io::Error::last_os_error());
    Ok(())
}

/// A service from `path` inside the mount and PID namespaces that a wrapper's words make.
pub fn service_in(wrapper: &[&str], path: &Path) -> Result<Service> {
    let (program, arguments) = wrapper.split_first().context("a wrapper")?;
    Service::start(Command::new(program).args(arguments).arg(path))
}
