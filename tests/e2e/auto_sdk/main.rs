//! Spans that a program makes by hand through OpenTelemetry's Auto SDK, stripped, under the real agent, which writes nothing into it: each is
//! there with all that it has, below the span that is its parent, made by hand or not. What each has to look like is in `cases`.

mod cases;
mod program;

use std::collections::BTreeMap;
use std::time::Duration;

use analyzer::plan::{Cost, Verdict};
use anyhow::{Context, Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::golang::go;
use strobe_tests::stage::Stage;

use program::{NEWEST, Program};

const LIBRARY: &str = "go.opentelemetry.io/auto/sdk";

/// Every case.
fn every_span_is_there(program: Program) -> Result<()> {
    let built = program.build()?;
    let plan = analyzer::plan_file(&built, &analyzer::Options::default(), &[])?;
    let library =
        plan.libraries.iter().find(|library| library.id == LIBRARY).context("it is not in the Plan")?;
    ensure!(library.verdict == Verdict::Ready, "{:?}", library.reason);
    let mut sites = library.functions.iter().flat_map(|function| &function.sites);
    ensure!(sites.all(|site| site.cost == Cost::Emulated), "{:?}", library.functions);

    let mut stage = Stage::new(&built, &[], &[])?;
    stage.begin(Duration::from_secs(10))?;
    stage.collector.wait_for(cases::SPANS, Duration::from_secs(10));
    stage.stop()?;
    let status = stage.agent.wait(Duration::from_secs(20))?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", stage.agent.output());
    let wrong = cases::wrong(&stage.collector.take()?, &losses(&stage.agent));
    ensure!(wrong.is_empty(), "{program:?}:\n{}\n{}", wrong.join("\n"), stage.agent.output());
    Ok(())
}

macro_rules! versions {
    ($($name:ident: $go:expr, $sdk:literal, $otel:literal;)+) => { $(
        #[test]
        fn $name() -> Result<()> { every_span_is_there(Program { go: $go, sdk: $sdk, otel: $otel }) }
    )+ };
}

versions! {
    go1_22_v1_1: go(22), "v1.1.0", "v1.34.0";
    go1_24_v1_1: go(24), "v1.1.0", "v1.36.0";
    go1_26_v1_2: go(26), "v1.2.1", "v1.38.0";
    go1_27_v1_2: go(27), "v1.2.1", "v1.38.0";
}

/// Many at once, and none is lost, or below another's.
#[test]
fn many_at_once_are_each_their_own() -> Result<()> {
    const GOROUTINES: usize = 64;
    let pairs = std::env::var("STROBE_SPANS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
        / GOROUTINES
        / 2;
    let mut stage = Stage::new(&NEWEST.build()?, &[("SPAN_PAIRS", &pairs.to_string())], &[])?;
    let due = 2 * pairs * GOROUTINES;
    let mut spans = stage.run_for(due + 1, Duration::from_secs(120))?;
    spans.retain(|span| span.scope == cases::SCOPE);
    let by_name: BTreeMap<&str, _> = spans.iter().map(|span| (span.span.name.as_str(), &span.span)).collect();
    let lost = losses(&stage.agent);
    ensure!(spans.len() == due && by_name.len() == due, "{} of {due} spans, lost: {lost:?}", spans.len());
    for (name, span) in &by_name {
        let parent = name.strip_prefix("inner ").map(|id| by_name.get(format!("outer {id}").as_str()));
        let is_right = match parent {
            None => span.parent_span_id.is_empty(),
            Some(outer) => outer
                .is_some_and(|outer| outer.span_id == span.parent_span_id && outer.trace_id == span.trace_id),
        };
        ensure!(is_right, "{name}: {span:?}");
    }
    ensure!(lost.is_empty(), "{lost:?}");
    println!("{due} spans, each its own");
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
