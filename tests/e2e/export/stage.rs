//! A traced service, and an agent that exports to wherever a test wants.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::{SERVICE, Service, strobe, tracing};
use strobe_tests::client::Connection;
use strobe_tests::golang::{self, Build, go};
use strobe_tests::process::Running;
use strobe_tests::{machine, programs};

/// Any version serves: this is about the agent.
const GO: &str = go(26);

/// How long the agent may take until it traces, on a machine that is busy with other tests: nothing here is about that.
pub const SETTLED: Duration = Duration::from_secs(120);

/// The service's executable, in a file of the test's own.
#[derive(Debug)]
pub struct Stage {
    /// Kept: the executable goes with it.
    _folder: tempfile::TempDir,
    pub app: PathBuf,
}

impl Stage {
    pub fn new() -> Result<Self> {
        Self::named("httpserver")
    }

    /// The same with another name of the executable.
    pub fn named(name: &str) -> Result<Self> {
        machine::require_probes()?;
        programs::path("strobe")?;
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let app = folder.path().join(name);
        machine::copy_program(&golang::build("httpserver", GO, Build::Stripped)?, &app)?;
        Ok(Self { _folder: folder, app })
    }

    /// Starts the service with these variables.
    pub fn service(&self, variables: &[(&str, &str)]) -> Result<Service> {
        let mut command = Command::new(&self.app);
        command.arg("-tls").env("OTEL_SERVICE_NAME", SERVICE).envs(variables.iter().copied());
        Service::started(Running::start(&mut command)?, 0)
    }
}

/// The agent for a process, exporting to `endpoint`, not started.
pub fn agent(pid: u32, endpoint: &str, variables: &[(&str, &str)]) -> Result<Command> {
    let mut command = strobe(&["run", "--pid", &pid.to_string()])?;
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .env_remove("HTTP_PROXY")
        .envs(variables.iter().copied());
    Ok(command)
}

/// Starts the agent and waits until it traces the service.
pub fn traced(service: &Service, endpoint: &str, variables: &[(&str, &str)]) -> Result<Running> {
    let pid = service.running.pid();
    let agent = Running::start(&mut agent(pid, endpoint, variables)?)?;
    let traced = agent.stderr.wait_for(&tracing(pid), 0, SETTLED);
    ensure!(traced.is_some(), "the agent does not trace the service; it printed:\n{}", agent.output());
    Ok(agent)
}

/// Sends requests for this target over one connection; each makes a span.
pub fn request(server: SocketAddr, target: &str, count: usize) -> Result<()> {
    let mut connection = Connection::open(server)?;
    let bytes = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
    for _ in 0..count {
        connection.send(bytes.as_bytes())?;
        ensure!(connection.receive(false)?.is_some(), "the service closed the connection");
    }
    Ok(())
}

/// `host:port` of a URL of the service.
pub fn authority(url: &str) -> Result<String> {
    let rest = url.split_once("://").map(|(_, rest)| rest).context("a URL")?;
    Ok(rest.trim_end_matches('/').to_owned())
}

/// A port of loopback where nobody listens.
pub fn closed_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// Ends the agent and says how long that took.
pub fn end(agent: &mut Running) -> Result<Duration> {
    let begin = std::time::Instant::now();
    agent.terminate()?;
    Ok(begin.elapsed())
}
