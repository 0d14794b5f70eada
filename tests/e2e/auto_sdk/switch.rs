//! The byte of a program by which OpenTelemetry's API hands its spans to the Auto SDK: on while the agent traces it, and off before and
//! afterwards, however the agent has ended; never touched where the program has an SDK, or passes contexts on, or where it is said so.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use analyzer::plan::Code;
use anyhow::{Context, Result, ensure};
use strobe_tests::agent::{self, HANDED, strobe};
use strobe_tests::built::Recipe;
use strobe_tests::collector::Collector;
use strobe_tests::golang::go;
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::stage::listening;

use crate::OTEL_TRACE;
use crate::cases::SCOPE;
use crate::program::NEWEST;

const PATIENCE: Duration = Duration::from_secs(10);
/// As what an agent that was killed has left.
const ALREADY: &str = "hands its spans to the Auto SDK already";
const MENDED: &str = "does not hand its spans to the Auto SDK any more";

/// A program whose own answer says whether the API's spans are recorded.
struct Program {
    _folder: tempfile::TempDir,
    app: Running,
    address: SocketAddr,
    collector: Collector,
}

impl Program {
    fn start() -> Result<Self> {
        machine::require_probes()?;
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("program");
        machine::copy_program(&NEWEST.build()?, &program)?;
        let app = Running::start(Command::new(&program).env("TRACER", "global"))?;
        let address = listening(&app)?;
        Ok(Self { _folder: folder, app, address, collector: Collector::start()? })
    }

    fn agent(&self, variables: &[(&str, &str)]) -> Result<Running> {
        let mut command = strobe(&["run", "--pid", &self.app.pid().to_string()])?;
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.endpoint());
        let agent = Running::start(command.envs(variables.iter().copied()))?;
        agent.expect_stderr(&agent::tracing(self.app.pid()), 0)?;
        Ok(agent)
    }

    fn is_recording(&self) -> Result<bool> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /recording HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.rsplit("\r\n").next() {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            _ => anyhow::bail!("{answer}"),
        }
    }

    /// What it says soon, if it is that.
    fn becomes(&self, wanted: bool) -> Result<()> {
        let began = Instant::now();
        while self.is_recording()? != wanted {
            ensure!(began.elapsed() < PATIENCE, "it is {} still", !wanted);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

#[test]
fn it_is_off_when_the_agent_has_left() -> Result<()> {
    let mut program = Program::start()?;
    ensure!(!program.is_recording()?, "it is on before anybody came");
    for _ in 0..2 {
        let mut agent = program.agent(&[])?;
        agent.expect_stderr(HANDED, 0)?;
        ensure!(program.is_recording()?, "it is off under the agent:\n{}", agent.output());
        let status = agent.terminate()?;
        ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());
        ensure!(!program.is_recording()?, "it is on after the agent has left:\n{}", agent.output());
    }
    ensure!(program.app.terminate()?.success(), "{}", program.app.output());
    Ok(())
}

#[test]
fn what_an_agent_has_left_that_was_killed_is_mended() -> Result<()> {
    let mut program = Program::start()?;
    let kill = |agent: &mut Running| -> Result<()> {
        agent.signal(libc::SIGKILL)?;
        agent.wait(PATIENCE)?;
        ensure!(program.is_recording()?, "nobody has switched it off");
        Ok(())
    };
    let mut agent = program.agent(&[])?;
    agent.expect_stderr(HANDED, 0)?;
    kill(&mut agent)?;
    // The next one takes it over, and leaves it as it should be.
    let mut agent = program.agent(&[])?;
    agent.expect_stderr(ALREADY, 0)?;
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    ensure!(!program.is_recording()?, "it is on after the next agent:\n{}", agent.output());
    // One that is not to trace such spans switches it off at once.
    let mut agent = program.agent(&[])?;
    agent.expect_stderr(HANDED, 0)?;
    kill(&mut agent)?;
    let agent = program.agent(&[("OTEL_GO_AUTO_TRACES_INTERNAL_INSTRUMENTATION_ENABLED", "false")])?;
    agent.expect_stderr(MENDED, 0)?;
    program.becomes(false)?;
    ensure!(program.app.terminate()?.success(), "{}", program.app.output());
    Ok(())
}

#[test]
fn of_two_agents_the_one_that_stays_switches_it_on_again() -> Result<()> {
    let mut program = Program::start()?;
    let mut first = program.agent(&[])?;
    first.expect_stderr(HANDED, 0)?;
    let mut second = program.agent(&[])?;
    second.expect_stderr(ALREADY, 0)?;
    ensure!(first.terminate()?.success(), "{}", first.output());
    second.expect_stderr("somebody has switched off", 0)?;
    ensure!(program.is_recording()?, "it is off under the agent that stays:\n{}", second.output());
    ensure!(second.terminate()?.success(), "{}", second.output());
    ensure!(!program.is_recording()?, "it is on after both have left");
    ensure!(program.app.terminate()?.success(), "{}", program.app.output());
    Ok(())
}

/// The keeper takes the probes of an agent out that has been stopped: what is then switched off needs nothing that is closed with them.
#[test]
fn it_is_switched_off_and_on_with_the_probes_of_an_agent_that_was_stopped() -> Result<()> {
    let mut program = Program::start()?;
    let mut agent = program.agent(&[])?;
    agent.expect_stderr(HANDED, 0)?;
    agent.signal(libc::SIGSTOP)?;
    std::thread::sleep(Duration::from_secs(3));
    agent.signal(libc::SIGCONT)?;
    agent.expect_stderr(HANDED, 1)?;
    ensure!(!agent.output().contains(ALREADY), "it was left on meanwhile:\n{}", agent.output());
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    ensure!(!program.is_recording()?, "it is on after the agent has left:\n{}", agent.output());
    ensure!(program.app.terminate()?.success(), "{}", program.app.output());
    Ok(())
}

/// As containers of one image are: stat(2) shows another device in each, and the kernel one file.
#[test]
fn it_is_on_in_each_of_several_overlays_of_one_file() -> Result<()> {
    machine::require_probes()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().display();
    for name in ["lower", "merged"] {
        std::fs::create_dir(folder.path().join(name))?;
    }
    machine::copy_program(&NEWEST.build()?, &folder.path().join("lower/program"))?;
    let start = |n: usize| {
        let script = format!(
            "cd {path} && mkdir upper{n} work{n} && \
             mount -t overlay -o lowerdir=lower,upperdir=upper{n},workdir=work{n} overlay merged && exec {path}/merged/program"
        );
        Running::start(Command::new("unshare").args(["--mount", "sh", "-c", &script]))
    };
    let mut apps = vec![start(0)?, start(1)?];
    for app in &apps {
        listening(app)?;
    }
    let mut command = strobe(&["run", "--exe", &format!("{path}/merged/program")])?;
    let mut agent = Running::start(command.env("OTEL_TRACES_EXPORTER", "none"))?;
    for app in &apps {
        agent.expect_stderr(&format!("pid {}: OpenTelemetry's API {HANDED}", app.pid()), 0)?;
    }
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    for app in &mut apps {
        ensure!(app.terminate()?.success(), "{}", app.output());
    }
    Ok(())
}

#[test]
fn nothing_is_written_where_that_is_switched_off() -> Result<()> {
    let mut program = Program::start()?;
    let mut agent = program.agent(&[("STROBE_WRITE", "false")])?;
    agent.expect_stderr("STROBE_WRITE is false", 0)?;
    ensure!(!program.is_recording()?, "it is on:\n{}", agent.output());
    program.collector.wait_for(1, PATIENCE);
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    let spans = program.collector.take()?;
    ensure!(spans.len() == 1 && spans[0].scope != SCOPE, "{spans:?}");
    ensure!(program.app.terminate()?.success(), "{}", program.app.output());
    Ok(())
}

/// What the Plan says of a program that makes spans by the API, and has this beside.
fn planned(beside: &str, modules: &[(&str, &str)]) -> Result<Vec<(usize, Vec<String>)>> {
    let main = "package main\n\nimport (\n\t\"context\"\n\n\t\"go.opentelemetry.io/otel\"\n\t\"go.opentelemetry.io/otel/trace\"\n)\n\n\
                func main() {\n\tctx, span := otel.Tracer(\"a\").Start(context.Background(), \"b\")\n\tdefer span.End()\n\
                \ttrace.SpanFromContext(ctx).TracerProvider().Tracer(\"c\").Start(ctx, \"d\")\n\tbeside()\n}\n";
    let mut all =
        vec![("go.opentelemetry.io/otel", "v1.38.0"), ("go.opentelemetry.io/otel/trace", "v1.38.0")];
    all.extend(modules);
    let files = &[("main.go", main), ("beside.go", beside)];
    let args = &["-ldflags=-s -w"];
    let built = Recipe { version: go(26), arch: "amd64", mode: "exe", args, files, modules: &all }.build()?;
    let plan = analyzer::plan_file(Path::new(&built), &analyzer::Options::default(), &[])?;
    let of = |id| {
        let library = plan.libraries.iter().find(|library| library.id == id).context("it is in the Plan")?;
        let alone = library.findings.iter().filter(|finding| finding.code == Code::LeftAlone);
        Ok((library.variables.len(), alone.map(|finding| finding.message.clone()).collect()))
    };
    [crate::AUTO_SDK, OTEL_TRACE].into_iter().map(of).collect()
}

#[test]
fn a_program_with_an_sdk_or_a_propagator_is_left_alone() -> Result<()> {
    let plain = planned("package main\n\nfunc beside() {}\n", &[])?;
    ensure!(plain.iter().all(|(variables, alone)| *variables == 1 && alone.is_empty()), "{plain:?}");
    let sdk = "package main\n\nimport (\n\t\"go.opentelemetry.io/otel\"\n\t\"go.opentelemetry.io/otel/sdk/trace\"\n)\n\n\
               func beside() { otel.SetTracerProvider(trace.NewTracerProvider()) }\n";
    let propagator = "package main\n\nimport (\n\t\"context\"\n\n\t\"go.opentelemetry.io/otel\"\n\t\"go.opentelemetry.io/otel/propagation\"\n)\n\n\
                      func beside() {\n\totel.SetTextMapPropagator(propagation.TraceContext{})\n\
                      \totel.GetTextMapPropagator().Inject(context.Background(), propagation.MapCarrier{})\n}\n";
    // As B3's, Jaeger's and X-Ray's are: a span without ids would make B3's say that nothing below is to be sampled.
    let own = "package main\n\nimport (\n\t\"context\"\n\n\t\"go.opentelemetry.io/otel\"\n\t\"go.opentelemetry.io/otel/propagation\"\n)\n\n\
               type own struct{ propagation.TextMapPropagator }\n\nfunc beside() {\n\totel.SetTextMapPropagator(own{})\n\
               \totel.GetTextMapPropagator().Inject(context.Background(), propagation.MapCarrier{})\n}\n";
    let baggage = "package main\n\nimport (\n\t\"context\"\n\n\t\"go.opentelemetry.io/otel\"\n\t\"go.opentelemetry.io/otel/propagation\"\n)\n\n\
                   func beside() {\n\totel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.Baggage{}))\n\
                   \totel.GetTextMapPropagator().Inject(context.Background(), propagation.MapCarrier{})\n}\n";
    let harmless = planned(baggage, &[])?;
    ensure!(harmless.iter().all(|(variables, alone)| *variables == 1 && alone.is_empty()), "{harmless:?}");
    for (what, source, modules, why) in [
        ("an SDK", sdk, &[("go.opentelemetry.io/otel/sdk", "v1.38.0")][..], "has an SDK"),
        ("a propagator", propagator, &[], "passes on the trace contexts"),
        ("a propagator of its own", own, &[], "in a form of its own"),
    ] {
        for (variables, alone) in planned(source, modules)? {
            let is_right = variables == usize::from(what != "an SDK")
                && matches!(alone.as_slice(), [one] if one.contains(why));
            ensure!(is_right, "with {what}: {variables} variables, {alone:?}");
        }
    }
    Ok(())
}
