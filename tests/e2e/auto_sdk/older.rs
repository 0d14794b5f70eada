//! The same program with an API of before v1.33, which has no Auto SDK to hand spans to: what it says of its spans is seen as it says it, whatever
//! the kernel lets probes write. With an SDK it is left alone.

use std::path::Path;
use std::time::Duration;

use analyzer::plan::{Code, Cost, Library, Verdict};
use anyhow::{Context, Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;
use strobe_tests::samples::Ran;
use strobe_tests::stage::Stage;

use crate::cases;
use crate::program::{NEWEST_OLDER, Older};

const GLOBAL: &str = "go.opentelemetry.io/otel/internal/global";

fn every_span_is_there(program: Older) -> Result<()> {
    every_span_of(&program.build()?).with_context(|| format!("{program:?}"))
}

/// The same of a build.
pub fn every_span_of(built: &Path) -> Result<()> {
    let plan = analyzer::plan_file(built, &analyzer::Options::default(), &[])?;
    let library = plan.libraries.iter().find(|found| found.id == GLOBAL).context("it is not in the Plan")?;
    ensure!(library.verdict == Verdict::Ready, "{:?}", library.reason);
    for function in library.functions.iter().filter(|function| function.role != "started") {
        ensure!(function.sites.iter().all(|site| site.cost == Cost::Emulated), "{function:?}");
    }
    let mut stage = Stage::new(built, &[("TRACER", "global")], &[])?;
    stage.begin(Duration::from_secs(10))?;
    stage.collector.wait_for(cases::SPANS_OF_OLDER, Duration::from_secs(10));
    stage.stop()?;
    let status = stage.agent.wait(Duration::from_secs(20))?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", stage.agent.output());
    let run = cases::Run { output: &stage.app.stdout.text(), told: false, passes_on: false, is_older: true };
    let mut wrong = cases::wrong(&stage.collector.take()?, run);
    wrong.extend(cases::miscounted(&losses(&stage.agent), 1, 1));
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), stage.agent.output());
    Ok(())
}

macro_rules! versions {
    ($($name:ident: $go:expr, $otel:literal;)+) => { $(
        #[test]
        fn $name() -> Result<()> { every_span_is_there(Older { go: $go, otel: $otel }) }
    )+ };
}

versions! {
    older_go1_22_v1_0: go(22), "v1.0.0";
    older_go1_22_v1_32: go(22), "v1.32.0";
    older_go1_24_v1_16: go(24), "v1.16.0";
    older_go1_24_v1_32: go(24), "v1.32.0";
    older_go1_26_v1_32: go(26), "v1.32.0";
    older_go1_27_v1_32: go(27), "v1.32.0";
}

/// Many at once, and none is lost, or below another's.
#[test]
fn older_many_at_once_are_each_their_own() -> Result<()> {
    crate::load::many_at_once(&NEWEST_OLDER.build()?, &[("TRACER", "global")])
}

/// What never ends gives way, at both of its addresses.
#[test]
fn older_ones_that_never_end_give_way() -> Result<()> {
    crate::load::never_ended(&NEWEST_OLDER.build()?, &[("TRACER", "global")])
}

/// A program whose spans are an SDK's from some moment on: `PROVIDER` is set in the middle.
const MAIN: &str = r#"package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/otel"
)

var tracer = otel.Tracer("strobe.test/older")

func main() {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	fmt.Println("ready")
	<-begin
	ctx, before := tracer.Start(context.Background(), "before")
	set()
	_, after := tracer.Start(ctx, "after")
	after.End()
	before.End()
}
"#;
const OWN: &str = "package main\n\nimport (\n\t\"go.opentelemetry.io/otel\"\n\t\"go.opentelemetry.io/otel/trace\"\n)\n\n\
                   func set() { otel.SetTracerProvider(trace.NewNoopTracerProvider()) }\n";
const SDK: &str = "package main\n\nimport (\n\t\"go.opentelemetry.io/otel\"\n\t\"go.opentelemetry.io/otel/sdk/trace\"\n)\n\n\
                   func set() { otel.SetTracerProvider(trace.NewTracerProvider()) }\n";
const NOTHING: &str = "package main\n\nfunc set() {}\n";

fn built(set: &str, otel: &str, more: &[(&str, &str)]) -> Result<std::path::PathBuf> {
    let mut modules = vec![("go.opentelemetry.io/otel", otel), ("go.opentelemetry.io/otel/trace", otel)];
    modules.extend(more);
    let (args, files) = (&["-ldflags=-s -w"], &[("main.go", MAIN), ("set.go", set)]);
    Recipe { version: go(26), arch: "amd64", mode: "exe", args, files, modules: &modules }.build()
}

/// What a tracer hands on to a provider that has been set is that one's.
#[test]
fn older_tracers_that_have_been_given_a_provider_are_left_alone() -> Result<()> {
    let ran = Ran::of(&built(OWN, "v1.30.0", &[])?, &[], &[])?;
    let names: Vec<&str> = ran.spans.iter().map(|span| span.span.name.as_str()).collect();
    ensure!(names == ["before"], "{names:?}");
    Ok(())
}

#[test]
fn older_programs_with_an_sdk_are_left_alone_and_newer_ones_are_not_older() -> Result<()> {
    let planned = |set, otel, more: &[(&str, &str)]| -> Result<Option<Library>> {
        let plan = analyzer::plan_file(&built(set, otel, more)?, &analyzer::Options::default(), &[])?;
        Ok(plan.libraries.into_iter().find(|library| library.id == GLOBAL))
    };
    let with_sdk = planned(SDK, "v1.32.0", &[("go.opentelemetry.io/otel/sdk", "v1.32.0")])?;
    let with_sdk = with_sdk.context("it is in the Plan")?;
    let is_alone = with_sdk.functions.is_empty() && with_sdk.verdict == Verdict::Ready;
    let codes: Vec<Code> = with_sdk.findings.iter().map(|finding| finding.code).collect();
    ensure!(is_alone && codes == [Code::LeftAlone], "{with_sdk:?}");
    ensure!(planned(NOTHING, "v1.32.0", &[])?.is_some_and(|library| library.functions.len() == 3));
    ensure!(planned(NOTHING, "v1.38.0", &[])?.is_none(), "v1.38 has the Auto SDK");
    Ok(())
}
