//! The service, the agent and the collector of one case, put together.
//!
//! `tests/e2e/http_server/harness.rs` does this on the host; in here there is no compiler, no `cp`, and everything takes
//! many times longer.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use strobe_tests::agent::losses;
use strobe_tests::collector::Collector;
use strobe_tests::http_client::carried::shown;
use strobe_tests::http_server::{drive, kinds};
use strobe_tests::process::Running;
use strobe_tests::spans::{self, Expected, Received};

/// The agent in this machine.
pub const STROBE: &str = "/bin/strobe";
/// How long anything may take on an emulated processor whose host is busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What a case begins with.
#[derive(Debug)]
pub struct Bench {
    pub app: PathBuf,
    pub collector: Collector,
    pub minor: u32,
    /// Whether net/http's server alone is traced.
    is_of_one_library: bool,
}

impl Bench {
    /// The service of a Go version, in a file of its own: a probe belongs to an inode.
    pub fn new(version: &str) -> Result<Self> {
        Self::of("httpserver", version)
    }

    /// The same, with net/http's server alone traced: for what is asked of processes, files and privileges, and of a Go version beside the one that
    /// is traced with all libraries. Verifying the programs of the others takes most of such a case's time.
    pub fn of_one_library(version: &str) -> Result<Self> {
        Ok(Self { is_of_one_library: true, ..Self::new(version)? })
    }

    /// The same with another of the programs.
    pub fn of(app: &str, version: &str) -> Result<Self> {
        let folder = PathBuf::from("/tmp/case");
        fs::create_dir_all(&folder)?;
        let bench = Bench {
            app: folder.join(app),
            collector: Collector::start()?,
            minor: 0,
            is_of_one_library: false,
        };
        bench.overwrite(version)
    }

    /// Puts the program of a Go version into the file, over what is there: the inode stays.
    pub fn overwrite(self, version: &str) -> Result<Self> {
        install(version, &self.app)?;
        Ok(Bench { minor: minor(version)?, ..self })
    }

    /// Starts the service.
    pub fn service(&self) -> Result<Service> {
        Service::started(Running::start(&mut Command::new(&self.app))?)
    }

    /// `strobe`, exporting to the collector.
    pub fn strobe(&self, args: &[&str]) -> Command {
        let mut command = Command::new(STROBE);
        command.args(args);
        self.exporting(&mut command);
        command
    }

    /// The configuration of an agent that exports to the collector.
    pub fn exporting(&self, command: &mut Command) {
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.endpoint())
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            // Where probes may write as where they may not: handlers are children of the calls that reach them over a connection.
            .env("STROBE_PROPAGATION", "correlate")
            // As in tests/e2e/http_server: which span is the first with a route of a mux depends on when its probe came.
            .env("OTEL_GO_AUTO_TRACES_NET_HTTP_SERVEMUX_INSTRUMENTATION_ENABLED", "false");
        if self.is_of_one_library {
            command
                .env("OTEL_GO_AUTO_INSTRUMENTATION_ENABLED", "false")
                .env("OTEL_GO_AUTO_TRACES_NET_HTTP_SERVER_INSTRUMENTATION_ENABLED", "true");
        }
    }

    /// Starts the agent on a running service and waits until it traces it.
    pub fn trace_pid(&self, service: &Running) -> Result<Running> {
        let agent = Running::start(&mut self.strobe(&["run", "--pid", &service.pid().to_string()]))?;
        tracing(&agent, 0)?;
        Ok(agent)
    }

    /// Starts the agent on all processes of the file.
    pub fn trace_exe(&self) -> Result<Running> {
        Running::start(&mut self.strobe(&["run", "--exe", self.app.to_str().context("path")?]))
    }

    /// Sends every kind of request once; the spans that are due.
    pub fn requests(&self, service: &Service) -> Result<Vec<Expected>> {
        static ROUND: AtomicUsize = AtomicUsize::new(0);
        let round = ROUND.fetch_add(1, Ordering::Relaxed);
        drive::drive(service.http, kinds::all(self.minor, round), 4)
    }

    /// Waits for the spans, ends the agent so that late or doubled ones come too, compares, and allows no loss.
    pub fn settle(&self, agent: &mut Running, due: &[Expected]) -> Result<Vec<Received>> {
        self.collector.wait_for(due.len(), PATIENCE);
        left(agent)?;
        self.compare(agent, due)
    }

    /// Compares what has come with what was due, and allows no loss.
    pub fn compare(&self, agent: &Running, due: &[Expected]) -> Result<Vec<Received>> {
        let got = self.collector.take()?;
        if let Err(differences) = spans::compare(due, &got) {
            bail!("{differences}\n{}", agent.output());
        }
        let lost = losses(agent);
        ensure!(lost.is_empty(), "counted {lost:#?}");
        Ok(got)
    }
}

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

/// Puts the program of a Go version into a file of the program's name.
pub fn install(version: &str, to: &Path) -> Result<()> {
    let name = to.file_name().context("a program's name")?.to_string_lossy();
    let from = format!("/apps/{name}-{version}");
    // No other thread of this process starts programs, so nobody inherits the descriptor that is open for writing.
    fs::copy(&from, to).with_context(|| format!("copy {from} to {}", to.display()))?;
    Ok(())
}

/// Waits until the agent traces its `nth` process (from 0).
pub fn tracing(agent: &Running, nth: usize) -> Result<()> {
    let line = agent.stderr.wait_for("tracing pid ", nth, PATIENCE);
    line.with_context(|| format!("strobe never traced process number {nth}:\n{}", agent.output()))?;
    Ok(())
}

/// The minor number of a Go version such as `1.24`.
fn minor(version: &str) -> Result<u32> {
    version.split('.').nth(1).and_then(|m| m.parse().ok()).context("a Go version")
}

/// A running service and where it listens.
#[derive(Debug)]
pub struct Service {
    pub running: Running,
    pub http: SocketAddr,
}

impl Service {
    /// Waits until it listens.
    pub fn started(running: Running) -> Result<Self> {
        let line = running.stdout.wait_for("listening on http://", 0, PATIENCE);
        let line = line.with_context(|| format!("the service never listened:\n{}", running.output()))?;
        let http = line.rsplit('/').next().unwrap_or_default().parse().context("the service's address")?;
        Ok(Service { running, http })
    }

    /// Its listener for HTTPS, as a URL.
    pub fn https(&self) -> Result<String> {
        let line = self.running.expect_stdout("listening on https://", 0)?;
        Ok(line.trim_start_matches("listening on ").to_owned())
    }

    /// Ends it; its exit status must be this one.
    pub fn stop(&mut self, expected: i32) -> Result<()> {
        self.running.signal(libc::SIGTERM)?;
        let status = self.running.wait(PATIENCE)?;
        ensure!(
            status.code() == Some(expected),
            "the service ended with {status}:\n{}",
            self.running.output()
        );
        Ok(())
    }
}
