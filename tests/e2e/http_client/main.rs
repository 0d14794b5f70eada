//! A Go program that is client and server in one, stripped, under the real agent: each of its round trips is one span, with
//! the parent that is due. One test per Go version, so that a failure names it. What each round trip has to look like is in
//! `cases`, whose child it has to be in `parents`.

mod carried;
mod cases;
mod clear;
mod found;
mod hooks;
mod parents;
mod places;
mod profiles;
mod samples;
mod x_net;
mod x_net_cases;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::{self, SERVICE, losses, strobe};
use strobe_tests::client::Connection;
use strobe_tests::collector::Collector;
use strobe_tests::golang::{self, Build};
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::recorder::Recorder;
use strobe_tests::stage::{go, listening};

use found::Found;
use places::Places;

macro_rules! go_versions {
    ($($name:ident = $minor:literal,)+) => { $(
        mod $name {
            use super::*;

            #[test]
            fn round_trips_and_their_parents_of_a_running_program() -> Result<()> { by_pid(golang::go($minor)) }
        }
    )+ };
}

go_versions! {
    go1_19 = 19,
    go1_22 = 22,
    go1_23 = 23,
    go1_24 = 24,
    go1_26 = 26,
    go1_27 = 27,
}

/// A program with its servers and its cases, an agent that traces it, and what comes of that.
struct Stage {
    /// The program lies in it.
    _folder: tempfile::TempDir,
    collector: Collector,
    app: Running,
    agent: Running,
    places: Places,
}

impl Stage {
    /// Starts the program, and then the agent with these variables.
    fn new(version: &'static str, variables: &[(&str, &str)]) -> Result<Self> {
        let built = golang::build("httpclient", version, Build::Stripped)?;
        Self::of(&built, Places::of, &[], variables)
    }

    /// The same with a program that is built already, which gets variables of its own.
    fn of(
        built: &Path,
        places: impl Fn(&Running) -> Result<Places>,
        own: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        machine::require_probes()?;
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let program = folder.path().join("httpclient");
        machine::copy_program(built, &program)?;
        let collector = Collector::start()?;
        let mut command = Command::new(&program);
        let app = Running::start(command.env("OTEL_SERVICE_NAME", SERVICE).envs(own.iter().copied()))?;
        let places = places(&app)?;
        let mut command = strobe(&["run", "--pid", &app.pid().to_string()])?;
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            .envs(variables.iter().copied());
        let agent = Running::start(&mut command)?;
        agent.expect_stderr(&agent::tracing(app.pid()), 0)?;
        Ok(Stage { _folder: folder, collector, app, agent, places })
    }

    /// Runs all cases and ends the agent; gives the spans.
    fn run(&mut self, due: usize) -> Result<Found> {
        let mut connection = Connection::open(self.places.http)?;
        connection.send(format!("GET /go HTTP/1.1\r\nHost: {}\r\n\r\n", self.places.http).as_bytes())?;
        self.app.expect_stdout("done", 0)?;
        self.collector.wait_for(due, Duration::from_secs(15));
        let status = self.agent.terminate()?;
        ensure!(status.success(), "strobe ended with {status}:\n{}", self.agent.output());
        Found::new(self.collector.take()?)
    }

    /// The program has taken no harm.
    fn stop(&mut self) -> Result<()> {
        let status = self.app.terminate()?;
        ensure!(status.success(), "the program ended with {status}:\n{}", self.app.output());
        Ok(())
    }
}

fn by_pid(version: &'static str) -> Result<()> {
    everything(version, &golang::build("httpclient", version, Build::Stripped)?)
}

/// All cases of the program, however it was built.
fn everything(version: &str, built: &Path) -> Result<()> {
    let mut stage = Stage::of(built, Places::of, &[], &[])?;
    let minor = golang::minor(version);
    let due = cases::due(minor, &stage.places).len() + cases::MANY.total();
    let found = stage.run(due)?;
    let mut wrong = cases::compare(minor, &stage.places, &found);
    wrong.extend(parents::compare(minor, &found));
    wrong.extend(cases::lost(&losses(&stage.agent)));
    ensure!(wrong.is_empty(), "Go {version}: {}\n{}", wrong.join("\n"), stage.agent.output());
    stage.stop()
}

/// Servers are traced as ever, and nobody looks for parents.
#[test]
fn clients_can_be_switched_off() -> Result<()> {
    let off = [("OTEL_GO_AUTO_TRACES_CLIENT_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::new(golang::go(26), &off)?;
    let found = stage.run(cases::MANY.total() / 2)?;
    ensure!(found.calls.is_empty(), "{:?}", found.calls.keys());
    ensure!(found.handler("own-context").is_some(), "{:?}", found.handled.keys());
    stage.stop()
}

/// Without servers calls have no parents.
#[test]
fn servers_can_be_switched_off() -> Result<()> {
    let off = [("OTEL_GO_AUTO_TRACES_SERVER_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::new(golang::go(26), &off)?;
    let found = stage.run(cases::MANY.total())?;
    ensure!(found.handled.is_empty(), "{:?}", found.handled.keys());
    for name in ["own-context", "background", "worker", "started-background"] {
        let [call] = found.call(name) else { anyhow::bail!("{name}: {} calls", found.call(name).len()) };
        ensure!(call.span.parent_span_id.is_empty(), "{name}: it has a parent");
    }
    stage.stop()
}

/// One library is off, and what is not off is traced as ever: the library's own variable has the last word.
#[test]
fn each_library_can_be_switched_off_alone() -> Result<()> {
    const LIBRARIES: [&str; 3] = ["NET_HTTP_SERVER", "NET_HTTP_SERVER_H2", "NET_HTTP_CLIENT"];
    for off in LIBRARIES {
        let variables: Vec<(String, &str)> = LIBRARIES
            .iter()
            .map(|library| {
                let value = if *library == off { "False" } else { "TRUE" };
                (format!("OTEL_GO_AUTO_TRACES_{library}_INSTRUMENTATION_ENABLED"), value)
            })
            // What is said of the whole and of kinds says nothing where the library itself is named.
            .chain([
                ("OTEL_GO_AUTO_INSTRUMENTATION_ENABLED".to_owned(), "false"),
                ("OTEL_GO_AUTO_TRACES_CLIENT_INSTRUMENTATION_ENABLED".to_owned(), "false"),
            ])
            .collect();
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let mut stage = Stage::new(golang::go(26), &variables)?;
        let found = stage.run(cases::MANY.total())?;
        let traced = [
            found.handled.contains_key("/case/get"),
            found.handled.contains_key("/case/h2-first"),
            !found.call("get").is_empty() && !found.call("h2-first").is_empty(),
        ];
        ensure!(traced == LIBRARIES.map(|library| library != off), "without {off}: {traced:?}");
        ensure!(traced[2] || found.calls.is_empty(), "without {off}: {:?}", found.calls.keys());
        stage.stop()?;
    }
    Ok(())
}

/// A name that nothing goes by is a mistake that is said.
#[test]
fn a_switch_that_switches_nothing_is_warned_about() -> Result<()> {
    let wrong = [("OTEL_GO_AUTO_TRACES_NET_HTTP_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::new(golang::go(26), &wrong)?;
    stage.agent.expect_stderr(wrong[0].0, 0)?;
    let found = stage.run(cases::MANY.total())?;
    ensure!(!found.call("get").is_empty() && found.handled.contains_key("/case/get"), "something is off");
    stage.stop()
}

/// What arrives is what the program has sent, and where probes may write the context of its span. The virtual machines of `tests/vm` are
/// where they may.
#[test]
fn requests_are_what_the_program_sends_and_its_context() -> Result<()> {
    machine::require_probes()?;
    let folder = tempfile::tempdir().context("a folder for the test")?;
    let program = folder.path().join("carries");
    machine::copy_program(&golang::build("carries", golang::go(26), Build::Stripped)?, &program)?;
    let (recorder, collector) = (Recorder::start()?, Collector::start()?);
    let written = agent::writes_from_probes()?;
    let mut before = None;
    for traced in [false, true] {
        let mut app = Running::start(Command::new(&program).arg(recorder.address().to_string()))?;
        let address = listening(&app)?;
        let mut log = String::new();
        if traced {
            let mut command = strobe(&["run", "--pid", &app.pid().to_string()])?;
            command
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
                .env("OTEL_TRACES_EXPORTER", "otlp")
                .env("OTEL_LOG_LEVEL", "debug")
                .env("STROBE_PROPAGATION", "write");
            let mut agent = Running::start(&mut command)?;
            agent.expect_stderr(&agent::tracing(app.pid()), 0)?;
            go(&app, address, Duration::from_secs(30))?;
            collector.wait_for(carried::SPANS, Duration::from_secs(15));
            ensure!(agent.terminate()?.success(), "{}", agent.output());
            log = agent.output();
        } else {
            go(&app, address, Duration::from_secs(30))?;
        }
        ensure!(app.terminate()?.success(), "{}", app.output());
        let arrived = carried::by_path(recorder.take());
        let Some(before) = &before else {
            before = Some(arrived);
            continue;
        };
        let wrong = carried::wrong(before, &arrived, &collector.take()?, written, true);
        ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), carried::shown(&log));
        if written {
            carried::check_counters(&log)?;
        } else {
            ensure!(log.contains("do not carry their trace context: the kernel does not let"), "{log}");
        }
    }
    Ok(())
}

/// Half of the traces are recorded, and their calls with them: no call is without its handler, and no handler without its call. Which half is
/// what OpenTelemetry's SDKs say: the lower one of the last eight bytes, read as a big-endian number.
#[test]
fn calls_are_sampled_with_their_handlers() -> Result<()> {
    let half = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
    let mut stage = Stage::new(golang::go(26), &half)?;
    let found = stage.run(cases::MANY.total() / 4)?;
    let crowd = |path: &str| path.starts_with("/in/crowd-");
    let handled: Vec<&String> = found.handled.keys().filter(|path| crowd(path)).collect();
    ensure!((64..192).contains(&handled.len()), "{} of 256 handlers", handled.len());
    for path in handled {
        for served in &found.handled[path] {
            let id = &served.span.trace_id;
            ensure!(id[8] < 0x80, "{path}: {id:x?} is in the other half");
        }
        let name = path.trim_start_matches("/in/");
        let calls = found.call(name).iter().filter(|call| !call.span.parent_span_id.is_empty()).count();
        ensure!(calls == 1, "{name}: {calls} calls below its handler");
    }
    let below = found.calls.iter().filter(|(name, _)| name.starts_with("crowd-"));
    for (name, calls) in below {
        let has_handler = found.handler(name).is_some();
        ensure!(has_handler || calls.is_empty(), "{name}: a call without its handler");
    }
    stage.stop()
}
