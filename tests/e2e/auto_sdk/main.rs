//! Spans that a program makes by hand through OpenTelemetry's Auto SDK, or by its API alone, stripped, under the real agent: each is there with
//! all that it has, below the span that is its parent, made by hand or not. What each has to look like is in `cases`.

mod cases;
mod held;
mod load;
mod older;
mod program;
mod switch;

use std::path::Path;
use std::time::Duration;

use analyzer::plan::{Cost, Verdict};
use anyhow::{Context, Result, ensure};
use strobe_tests::agent::{HANDED, losses, writes_from_probes};
use strobe_tests::golang::go;
use strobe_tests::load::{CONNECTIONS, Case, Load};
use strobe_tests::stage::{Stage, listening};

use program::{NEWEST, NEWEST_OLDER, Program};

const AUTO_SDK: &str = "go.opentelemetry.io/auto/sdk";
const OTEL_TRACE: &str = "go.opentelemetry.io/otel/trace";

/// Every case, by a tracer of this kind, whose spans this library makes.
fn every_span_is_there(program: Program, tracer: &str, library: &str) -> Result<()> {
    let built = program.build()?;
    every_span_of(&built, tracer, library).with_context(|| format!("{program:?} {tracer}"))
}

/// The same of a build.
fn every_span_of(built: &Path, tracer: &str, library: &str) -> Result<()> {
    let plan = analyzer::plan_file(built, &analyzer::Options::default(), &[])?;
    let library = plan.libraries.iter().find(|found| found.id == library).context("it is not in the Plan")?;
    ensure!(library.verdict == Verdict::Ready, "{:?}", library.reason);
    let mut sites = library.functions.iter().flat_map(|function| &function.sites);
    ensure!(sites.all(|site| site.cost == Cost::Emulated), "{:?}", library.functions);

    let mut stage = Stage::new(built, &[("TRACER", tracer)], &[])?;
    stage.agent.expect_stderr(HANDED, 0)?;
    stage.begin(Duration::from_secs(10))?;
    stage.collector.wait_for(cases::SPANS, Duration::from_secs(10));
    stage.stop()?;
    let status = stage.agent.wait(Duration::from_secs(20))?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", stage.agent.output());
    let told = writes_from_probes()?;
    let run = cases::Run { output: &stage.app.stdout.text(), told, passes_on: false, is_older: false };
    let mut wrong = cases::wrong(&stage.collector.take()?, run);
    wrong.extend(cases::miscounted(&losses(&stage.agent), 1, 0));
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), stage.agent.output());
    Ok(())
}

/// A build with the profile of the program's own load is as ready as another: by the Auto SDK's tracers, and with `STROBE_MATRIX=full` also by those of
/// the API, and of an API without an Auto SDK. (Each builds Go's library again.)
#[test]
fn a_profile_changes_nothing() -> Result<()> {
    every_span_of(&NEWEST.build_guided("sdk", "auto/sdk")?, "sdk", AUTO_SDK)?;
    if std::env::var("STROBE_MATRIX").is_ok_and(|text| text == "full") {
        every_span_of(&NEWEST.build_guided("context", "autoTracer")?, "context", OTEL_TRACE)?;
        older::every_span_of(&NEWEST_OLDER.build_guided()?)?;
    }
    Ok(())
}

macro_rules! versions {
    ($($name:ident: $go:expr, $sdk:literal, $otel:literal, $tracer:literal $library:expr;)+) => { $(
        #[test]
        fn $name() -> Result<()> { every_span_is_there(Program { go: $go, sdk: $sdk, otel: $otel, passes_on: false }, $tracer, $library) }
    )+ };
}

versions! {
    go1_22_v1_1: go(22), "v1.1.0", "v1.34.0", "sdk" AUTO_SDK;
    go1_24_v1_1: go(24), "v1.1.0", "v1.36.0", "sdk" AUTO_SDK;
    go1_26_v1_2: go(26), "v1.2.1", "v1.38.0", "sdk" AUTO_SDK;
    go1_27_v1_2: go(27), "v1.2.1", "v1.38.0", "sdk" AUTO_SDK;
    go1_22_global: go(22), "v1.1.0", "v1.34.0", "global" AUTO_SDK;
    go1_24_global: go(24), "v1.1.0", "v1.36.0", "global" AUTO_SDK;
    go1_26_global: go(26), "v1.2.1", "v1.38.0", "global" AUTO_SDK;
    go1_27_global: go(27), "v1.2.1", "v1.38.0", "global" AUTO_SDK;
    go1_24_context: go(24), "v1.1.0", "v1.36.0", "context" OTEL_TRACE;
    go1_26_context: go(26), "v1.2.1", "v1.38.0", "context" OTEL_TRACE;
    go1_27_context: go(27), "v1.2.1", "v1.38.0", "context" OTEL_TRACE;
}

/// Many at once, and none is lost, or below another's.
#[test]
fn many_at_once_are_each_their_own() -> Result<()> {
    load::many_at_once(&NEWEST.build()?, &[])
}

/// Spans that never end give way to those that come after them, before a process has no more than its share, and are counted.
#[test]
fn what_never_ends_gives_way() -> Result<()> {
    load::never_ended(&NEWEST.build()?, &[])
}

/// Spans of 64 KiB as fast as they can be made cost requests beside them no record: they have a ring of their own, and no more than half of
/// what waits for the collector.
#[test]
fn a_flood_of_large_ones_costs_requests_nothing() -> Result<()> {
    const RATE: usize = 5_000;
    const LONG: Duration = Duration::from_secs(4);
    let mut stage = Stage::new(&NEWEST.build()?, &[], &[])?;
    stage.agent.expect_stderr(HANDED, 0)?;
    let address = listening(&stage.app)?;
    let mut load = Load::open(address, "/beside")?;
    load.run(1, &Case::HOT[0].requests("/flood"))?;
    let mut sent = CONNECTIONS + 1;
    sent += load.run_paced(RATE, LONG, &Case::HOT[0].requests("/beside"))?;
    drop(load);
    let status = stage.agent.terminate()?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", stage.agent.output());
    let spans = stage.collector.take()?;
    let floods = spans.iter().filter(|span| span.scope == cases::SCOPE).count();
    let requests = spans.len() - floods;
    let lost = losses(&stage.agent);
    println!("{requests} of {sent} requests beside {floods} spans of 60 KB; {lost:?}");
    ensure!(
        requests == sent,
        "{requests} of {sent} requests beside {floods} floods, {lost:?}:\n{}",
        stage.agent.output()
    );
    ensure!(floods > 100, "{floods} spans are no flood");
    stage.stop()
}

/// They can be switched off.
#[test]
fn they_can_be_switched_off() -> Result<()> {
    let variables = [("OTEL_GO_AUTO_TRACES_GO_OPENTELEMETRY_IO_AUTO_SDK_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::new(&NEWEST.build()?, &[], &variables)?;
    let spans = stage.run(3)?;
    ensure!(spans.iter().all(|span| span.scope != cases::SCOPE), "{spans:?}");
    ensure!(spans.len() == 3, "{} spans", spans.len());
    stage.stop()
}
