//! A program that runs all its cases when it is asked for `/go`, an agent that traces it, and the spans that come of that. It prints
//! "listening on http://ADDRESS" before and "done" behind them, and ends well by SIGTERM.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::agent::{self, SERVICE, strobe};
use crate::client::Connection;
use crate::collector::Collector;
use crate::machine;
use crate::process::Running;
use crate::spans::Received;
use anyhow::{Context, Result, ensure};

/// Where such a program listens.
pub fn listening(app: &Running) -> Result<SocketAddr> {
    let line = app.expect_stdout("listening on http://", 0)?;
    line.rsplit('/').next().unwrap_or_default().parse().context("an address")
}

/// Has it run all its cases.
pub fn go(app: &Running, address: SocketAddr, limit: Duration) -> Result<()> {
    let mut connection = Connection::open(address)?;
    connection.send(format!("GET /go HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let done = app.stdout.wait_for("done", 0, limit);
    done.with_context(|| format!("its cases never ended:\n{}", app.output()))?;
    Ok(())
}

/// All of it.
#[derive(Debug)]
pub struct Stage {
    /// The program lies in it.
    _folder: tempfile::TempDir,
    /// What the agent exports to.
    pub collector: Collector,
    /// The program.
    pub app: Running,
    /// The agent.
    pub agent: Running,
    address: SocketAddr,
}

impl Stage {
    /// Starts the program with variables of its own, and then the agent with these.
    pub fn new(built: &Path, own: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Self> {
        Self::with(built, &[], own, variables)
    }

    /// The same of one that has arguments.
    pub fn with(
        built: &Path,
        arguments: &[&str],
        own: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        Self::under(&[], built, arguments, own, variables)
    }

    /// The same with an agent that another program starts and then becomes.
    pub fn under(
        starter: &[&str],
        built: &Path,
        arguments: &[&str],
        own: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        machine::require_probes()?;
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let program = folder.path().join("program");
        machine::copy_program(built, &program)?;
        let collector = Collector::start()?;
        let mut command = Command::new(&program);
        command.args(arguments);
        let app = Running::start(command.env("OTEL_SERVICE_NAME", SERVICE).envs(own.iter().copied()))?;
        let address = listening(&app)?;
        let strobe = strobe(&["run", "--pid", &app.pid().to_string()])?;
        let mut command = match starter {
            [] => strobe,
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(strobe.get_program()).args(strobe.get_args());
                command
            }
        };
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            .env("OTEL_BSP_MAX_QUEUE_SIZE", "65536")
            .envs(variables.iter().copied());
        let agent = Running::start(&mut command)?;
        agent.expect_stderr(&agent::tracing(app.pid()), 0)?;
        Ok(Self { _folder: folder, collector, app, agent, address })
    }

    /// Runs all cases and ends the agent; gives all spans.
    pub fn run(&mut self, due: usize) -> Result<Vec<Received>> {
        self.run_for(due, Duration::from_secs(30))
    }

    /// The same, of cases that take so long.
    pub fn run_for(&mut self, due: usize, limit: Duration) -> Result<Vec<Received>> {
        self.begin(limit)?;
        self.collector.wait_for(due, Duration::from_secs(10));
        let status = self.agent.terminate()?;
        ensure!(status.success(), "strobe ended with {status}:\n{}", self.agent.output());
        self.collector.take()
    }

    /// Runs all cases, and leaves the agent to go on.
    pub fn begin(&mut self, limit: Duration) -> Result<()> {
        go(&self.app, self.address, limit)
    }

    /// The program has taken no harm.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.app.terminate()?;
        ensure!(status.success(), "the program ended with {status}:\n{}", self.app.output());
        Ok(())
    }
}
