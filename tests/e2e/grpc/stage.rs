//! A Go program that is gRPC's server and client in one, stripped, and an agent that traces it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::{SERVICE, strobe, tracing};
use strobe_tests::collector::Collector;
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::spans::Received;

use super::places::Places;

/// All of it.
pub struct Stage {
    /// The program lies in it.
    _folder: tempfile::TempDir,
    pub collector: Collector,
    pub app: Running,
    pub agent: Running,
    pub places: Places,
}

impl Stage {
    /// Starts the program with these variables, and then the agent with those.
    pub fn new(built: &Path, own: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Self> {
        machine::require_probes()?;
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let program = folder.path().join("grpc");
        machine::copy_program(built, &program)?;
        let collector = Collector::start()?;
        let mut command = Command::new(&program);
        // Up to v1.40 only who asks for it has calls tried again.
        command.env("OTEL_SERVICE_NAME", SERVICE).env("GRPC_GO_RETRY", "on");
        let app = Running::start(command.envs(own.iter().copied()))?;
        let places = Places::of(&app)?;
        let mut command = strobe(&["run", "--pid", &app.pid().to_string()])?;
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_BSP_MAX_QUEUE_SIZE", "65536")
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            .envs(variables.iter().copied());
        let agent = Running::start(&mut command)?;
        agent.expect_stderr(&tracing(app.pid()), 0)?;
        Ok(Stage { _folder: folder, collector, app, agent, places })
    }

    /// Runs all that the program has, and ends the agent; gives the spans.
    pub fn run(&mut self, due: usize, limit: Duration) -> Result<Vec<Received>> {
        self.places.begin()?;
        self.app.stdout.wait_for("done", 0, limit).with_context(|| self.app.output())?;
        self.ended(due)
    }

    /// Ends the agent when so many spans have come; gives them.
    pub fn ended(&mut self, due: usize) -> Result<Vec<Received>> {
        self.collector.wait_for(due, Duration::from_secs(10));
        let status = self.agent.terminate()?;
        ensure!(status.success(), "strobe ended with {status}:\n{}", self.agent.output());
        self.collector.take()
    }

    /// The program has taken no harm.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.app.terminate()?;
        ensure!(status.success(), "the program ended with {status}:\n{}", self.app.output());
        Ok(())
    }
}
