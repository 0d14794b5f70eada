//! The service, the agent and the collector of one test, put together.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
pub use strobe_tests::agent::{SERVICE, Service, losses, strobe, tracing};
use strobe_tests::collector::Collector;
use strobe_tests::golang::{self, Build};
use strobe_tests::process::{PATIENCE, Running};
use strobe_tests::spans::{self, Expected, Received, Value};
use strobe_tests::{machine, programs};

/// What every test here begins with: a folder, a collector, and a copy of the service in a file of its own, since a probe
/// belongs to an inode.
#[derive(Debug)]
pub struct Bench {
    pub version: &'static str,
    pub folder: tempfile::TempDir,
    pub app: PathBuf,
    pub collector: Collector,
    /// Whether the agent takes requests field by field: its slow way, with the same spans.
    pub fields_only: bool,
    /// Whether a ServeMux is asked for routes that spans lack. Which span is the first with one depends on when its probe came, so
    /// it is switched off where spans are compared to the last attribute from the first request on.
    pub servemux: bool,
}

impl Bench {
    pub fn new(version: &'static str, build: Build) -> Result<Self> {
        Self::of(version, || golang::build("httpserver", version, build))
    }

    /// The same with a service that is built in another way.
    pub fn of(version: &'static str, build: impl FnOnce() -> Result<PathBuf>) -> Result<Self> {
        machine::require_probes()?;
        // Built now, if need be: later there are requests that wait.
        programs::path("strobe")?;
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let app = folder.path().join("httpserver");
        machine::copy_program(&build()?, &app)?;
        Ok(Bench {
            version,
            folder,
            app,
            collector: Collector::start()?,
            fields_only: false,
            servemux: false,
        })
    }

    /// From now on the agent takes the slow way.
    pub fn fields_only(self) -> Self {
        Bench { fields_only: true, ..self }
    }

    /// From now on a ServeMux is asked, as it is where nobody has said otherwise.
    pub fn servemux(self) -> Self {
        Bench { servemux: true, ..self }
    }

    pub fn minor(&self) -> u32 {
        golang::minor(self.version)
    }

    /// Starts the service.
    pub fn service(&self) -> Result<Service> {
        self.service_with(&[])
    }

    /// Starts the service with these variables.
    pub fn service_with(&self, variables: &[(&str, &str)]) -> Result<Service> {
        let mut command = Command::new(&self.app);
        command.arg("-tls").env("OTEL_SERVICE_NAME", SERVICE).envs(variables.iter().copied());
        Service::started(Running::start(&mut command)?, 0)
    }

    /// `strobe` with these arguments, exporting to the collector.
    pub fn strobe(&self, args: &[&str]) -> Result<Command> {
        let mut command = strobe(args)?;
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.endpoint())
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            .env("STROBE_FIELDS_ONLY", self.fields_only.to_string());
        if !self.servemux {
            command.env("OTEL_GO_AUTO_TRACES_NET_HTTP_SERVEMUX_INSTRUMENTATION_ENABLED", "false");
        }
        Ok(command)
    }

    /// Starts the agent on a running service and waits until it traces it.
    pub fn trace_pid(&self, service: &Service) -> Result<Running> {
        let pid = service.running.pid().to_string();
        let agent = Running::start(&mut self.strobe(&["run", "--pid", &pid])?)?;
        agent.expect_stderr(&tracing(service.running.pid()), 0)?;
        Ok(agent)
    }

    /// Starts the agent on all processes of the service's file.
    pub fn trace_exe(&self) -> Result<Running> {
        let exe = self.app.to_str().context("path")?;
        Running::start(&mut self.strobe(&["run", "--exe", exe])?)
    }

    /// Waits for the spans, ends the agent so that late or doubled ones come too, and compares.
    pub fn settle(&self, agent: &mut Running, due: &[Expected]) -> Result<Vec<Received>> {
        self.collector.wait_for(due.len(), Duration::from_secs(15));
        let status = agent.terminate()?;
        ensure!(status.success(), "strobe ended with {status} after SIGTERM:\n{}", agent.output());
        self.compare(agent, due)
    }

    /// Compares what has come with what was due.
    pub fn compare(&self, agent: &Running, due: &[Expected]) -> Result<Vec<Received>> {
        let got = self.collector.take()?;
        if let Err(differences) = spans::compare(due, &got) {
            bail!("Go {}: {differences}\n{}", self.version, agent.output());
        }
        check_resources(&got, self.version)?;
        check_times(&got)?;
        Ok(got)
    }
}

/// Every span names its process as the conventions want it.
fn check_resources(got: &[Received], version: &str) -> Result<()> {
    for r in got {
        let is = |name: &str, want: &str| -> Result<()> {
            let got = r.resource.get(name);
            ensure!(got == Some(&Value::from(want)), "resource {name}: expected {want:?}, got {got:?}");
            Ok(())
        };
        is("service.name", SERVICE)?;
        is("telemetry.sdk.language", "go")?;
        is("process.runtime.name", "go")?;
        is("process.runtime.version", &format!("go{version}"))?;
        ensure!(
            matches!(r.resource.get("process.pid"), Some(Value::Int(_))),
            "no process.pid: {:?}",
            r.resource
        );
    }
    Ok(())
}

/// Every span lies in the last minutes and is not longer than the tests' patience.
fn check_times(got: &[Received]) -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    let recent = now - Duration::from_secs(600).as_nanos()..now + Duration::from_millis(100).as_nanos();
    for r in got {
        let (start, end) = (u128::from(r.span.start_time_unix_nano), u128::from(r.span.end_time_unix_nano));
        ensure!(recent.contains(&start) && recent.contains(&end), "span {start}..{end} at {now}");
        ensure!(end - start < PATIENCE.as_nanos(), "a span of {} s", (end - start) / 1_000_000_000);
    }
    Ok(())
}

/// The processes that spans came from.
pub fn pids(got: &[Received]) -> BTreeSet<String> {
    got.iter().filter_map(|r| r.resource.get("process.pid")).map(ToString::to_string).collect()
}
